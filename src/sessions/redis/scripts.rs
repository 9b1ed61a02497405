//! What Redis does in one step. Each answer begins with the name that the question was about: one
//! that was meant for another question is found out, and decides nothing (SESS-07).

/// A script that does this to `KEYS[1]`.
macro_rules! named {
    ($($line:literal)*) => {
        concat!("local function done() ", $($line, " ",)* "end return {KEYS[1], done()}")
    };
}

/// Puts a session there.
pub(super) const PUT: &str = named!(
    "redis.call('hset', KEYS[1], 'r', ARGV[1], 't', ARGV[2])"
    "return redis.call('pexpire', KEYS[1], ARGV[3])"
);

/// Reads a session.
pub(super) const FIND: &str = named!("return redis.call('hmget', KEYS[1], 'r', 't')");

/// Writes a session if it is there, and its lock is ours, which it gives back.
pub(super) const SWAP: &str = named!(
    "if redis.call('get', KEYS[2]) ~= ARGV[1] then return 0 end"
    "redis.call('del', KEYS[2])"
    "if redis.call('exists', KEYS[1]) == 0 then return 0 end"
    "redis.call('hset', KEYS[1], 'r', ARGV[2], 't', ARGV[3])"
    "redis.call('pexpire', KEYS[1], ARGV[4]) return 1"
);

/// Notes that a session is used, if it is there.
pub(super) const TOUCH: &str = named!(
    "if redis.call('exists', KEYS[1]) == 0 then return 0 end"
    "redis.call('hset', KEYS[1], 't', ARGV[1])"
    "return redis.call('pexpire', KEYS[1], ARGV[2])"
);

/// Takes something away.
pub(super) const DELETE: &str = named!("return redis.call('del', KEYS[1])");

/// Adds a session to those of a name, from which those go that are over. The name lasts as long
/// as the session that ends last.
pub(super) const ADD: &str = named!(
    "redis.call('zremrangebyscore', KEYS[1], '-inf', ARGV[1])"
    "redis.call('zadd', KEYS[1], ARGV[2], ARGV[3])"
    "local last = redis.call('zrange', KEYS[1], -1, -1, 'withscores')[2]"
    "return redis.call('pexpire', KEYS[1], tonumber(last) - tonumber(ARGV[1]) + tonumber(ARGV[4]))"
);

/// Reads the sessions of a name.
pub(super) const LIST: &str = named!("return redis.call('zrange', KEYS[1], 0, -1)");

/// Reads a number.
pub(super) const GET: &str = named!("return redis.call('get', KEYS[1])");

/// Writes a number unless a greater one is there, which then stays for as long.
pub(super) const RAISE: &str = named!(
    "local known = redis.call('get', KEYS[1])"
    "if known and tonumber(known) >= tonumber(ARGV[1]) then"
    "return redis.call('pexpire', KEYS[1], ARGV[2]) end"
    "redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2]) return 1"
);

/// Notes that somebody signed in: first, if nothing is known of them, and last.
pub(super) const SIGN_IN: &str = named!(
    "if not redis.call('hmget', KEYS[1], 'f')[1] then"
    "redis.call('hset', KEYS[1], 'f', ARGV[1]) end"
    "redis.call('hset', KEYS[1], 'l', ARGV[1])"
    "return redis.call('pexpire', KEYS[1], ARGV[2])"
);

/// Reads when somebody signed in.
pub(super) const SIGNED_IN: &str = named!("return redis.call('hmget', KEYS[1], 'f', 'l')");

/// Writes something unless something is there.
pub(super) const ONCE: &str = named!(
    "if redis.call('set', KEYS[1], ARGV[1], 'nx', 'px', ARGV[2]) then return 1 end return 0"
);

/// Gives a lock back, if it is ours.
pub(super) const UNLOCK: &str = named!(
    "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end"
    "return redis.call('del', KEYS[1])"
);

/// Keeps a lock, if it is ours.
pub(super) const HOLD: &str = named!(
    "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end"
    "return redis.call('pexpire', KEYS[1], ARGV[2])"
);
