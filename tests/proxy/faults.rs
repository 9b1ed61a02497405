//! A portal or a provider that is down, slow or lying.
