// A second EVM, for one smoke test that the JSON-RPC calls suit more than Anvil. No compiler, no plugins.
// node node_modules/hardhat/internal/cli/cli.js --config tools/hardhat/hardhat.config.js \
//   node --hostname 127.0.0.1 --port PORT
module.exports = {
  networks: {
    hardhat: {
      chainId: 31337,
      hardfork: process.env.BACKSTOP_HARDFORK ?? "cancun",
      initialBaseFeePerGas: 0,
      gasPrice: 0,
      allowBlocksWithSameTimestamp: true, // time passes only when a run says so
    },
  },
};
