"""The contract's loader and checks; `shared/contract.toml` is the contract itself."""
