// Shows the table of the chosen pair of systems, alone; without scripts all tables are shown.
{
  const first = document.getElementById("pair-first"), second = document.getElementById("pair-second");
  const tables = [...document.querySelectorAll(".pair-table")];
  const show = () => {
    for (const it of tables) {
      const found = [it.dataset.first, it.dataset.second];
      it.hidden = !(found.includes(first.value) && found.includes(second.value) && first.value !== second.value);
    }
  };
  first.selectedIndex = 0;
  second.selectedIndex = second.options.length - 1;
  first.addEventListener("change", show);
  second.addEventListener("change", show);
  show();
}
