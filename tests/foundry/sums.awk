# Sums the lines that each run leaves in counts.txt.
{ k = $1 " " $2; if (!(k in a)) order[++n] = k; a[k] += $3; b[k] += $4 }
END {
  runs = a["fact runs"]
  for (i = 1; i <= n; i++) {
    k = order[i]; split(k, w, " ")
    if (w[1] == "action") printf "  %-22s %8d calls  %8d succeeded\n", w[2], a[k], b[k]
    else if (w[1] == "property") printf "  %-22s %8d checks %8d failed\n", w[2], a[k], b[k]
    else printf "  %-42s %8d  in %d runs\n", w[2], a[k], b[k]
  }
}
