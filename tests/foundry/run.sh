#!/bin/bash
# Starts a devnet, deploys the built contracts on it, runs the properties, and stops the devnet.
#   ./run.sh            the default profile: under a minute of processor
#   ./run.sh long       ten times as much
#   NAIVE=CalendarCapWaterfall ./run.sh, NAIVE=InstantExitPool ./run.sh
#                       on a deployment with one faulty contract of the project's own: it has to fail
#   SEED=7 ./run.sh     other random calls; PORT=8899, REASONS=1 (lists why calls were refused)
set -eu
cd "$(dirname "$0")"
ROOT=${ROOT:-$(cd ../.. && pwd)}
BACKSTOP=${BACKSTOP:-$ROOT/.venv/bin/backstop}
FORGE=${FORGE:-$ROOT/tools/lockstep_bench/node_modules/.bin/forge} # installed by make deep
SOLC=${SOLC:-$ROOT/tools/lockstep_bench/solc.mjs}
PORT=${PORT:-8792}
PROFILE=${1:-default}
URL=http://127.0.0.1:$PORT
ADMIN=0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 # the devnet's first account; without it a timelock is the admin

"$BACKSTOP" devnet --port "$PORT" > devnet.log 2>&1 &
NODE=$!
trap 'kill $NODE 2>/dev/null; wait $NODE 2>/dev/null || true' EXIT
for _ in $(seq 60); do
  grep -q "$URL" devnet.log 2>/dev/null && break
  sleep 0.5
done
rm -f counts.txt reasons.txt deployment.json
PARAMS=params.json
UNSAFE=
case "${NAIVE:-}" in
  "") ;;
  CalendarCapWaterfall) sed 's/"waterfall_contract": "LossWaterfall"/"waterfall_contract": "CalendarCapWaterfall"/' params.json > naive.json ;;
  InstantExitPool) sed 's/"contract": "Pool"/"contract": "InstantExitPool"/; s/"cooldown": 86400/"cooldown": 0/' params.json > naive.json ;;
  *) echo "no such naive contract" >&2; exit 2 ;;
esac
if [ -n "${NAIVE:-}" ]; then PARAMS=naive.json; UNSAFE=--unsafe; fi
"$BACKSTOP" deploy --params "$PARAMS" $UNSAFE --network "$URL" --admin "$ADMIN" --out deployment.json --fresh > deploy.log 2>&1
status=0
FOUNDRY_PROFILE=$PROFILE EXPLAIN=$([ -n "${REASONS:-}" ] && echo true || echo false) \
  "$FORGE" test --offline --use "$SOLC" --fork-url "$URL" --fuzz-seed "${SEED:-1}" > forge.log 2>&1 || status=$?
sed -n '/^Ran [0-9]* test/,$p; /^Error/,$p' forge.log | grep -E "PASS|FAIL|Suite|args=|Error|deep" | cut -c1-300 || true
if [ -f counts.txt ]; then
  echo "calls, successes and checks, summed over all runs:"
  awk -f sums.awk counts.txt
fi
if [ -f reasons.txt ]; then sort reasons.txt | uniq -c | sort -rn | head -60; fi
exit $status
