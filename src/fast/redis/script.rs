//! Lua scripts, called by their hash: the text goes over the wire only when a server does not know it yet.

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind};

/// The text of a script about what is remembered of a reporter.
macro_rules! reporter_script {
    ($name:literal) => {
        concat!(include_str!("../scripts/reporter.lua"), include_str!(concat!("../scripts/", $name, ".lua")))
    };
}
pub(super) use reporter_script;

/// A script and its hash.
pub(super) struct LuaScript {
    text: &'static str,
    hash: String,
}

impl LuaScript {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }

    /// The call by hash.
    pub(super) fn by_hash(&self, keys: &[impl AsRef<[u8]>]) -> Cmd {
        call("EVALSHA", &self.hash, keys)
    }

    /// The call with the text, from which the server learns it.
    pub(super) fn by_text(&self, keys: &[impl AsRef<[u8]>]) -> Cmd {
        call("EVAL", self.text, keys)
    }

    /// Calls it, with arguments that `fill` adds. A server that does not know it has not run it, so calling again is
    /// safe; with the text it reaches the right node of a Cluster, which loading it would not.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
        keys: &[impl AsRef<[u8]>],
        fill: impl Fn(&mut Cmd),
    ) -> RedisResult<T> {
        let mut command = self.by_hash(keys);
        fill(&mut command);
        match command.query_async(connection).await {
            Err(error) if is_unknown(&error) => {
                let mut command = self.by_text(keys);
                fill(&mut command);
                command.query_async(connection).await
            }
            answer => answer,
        }
    }
}

/// Whether the server does not know the script.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn call(command: &str, script: &str, keys: &[impl AsRef<[u8]>]) -> Cmd {
    let mut call = redis::cmd(command);
    call.arg(script).arg(keys.len());
    for key in keys {
        call.arg(key.as_ref());
    }
    call
}
