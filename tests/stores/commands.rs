//! What a Redis with an ACL has to allow is what the documentation says.
