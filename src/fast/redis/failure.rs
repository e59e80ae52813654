//! What can go wrong with Redis, in fixed words; and whom it concerns.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// How the library keeps the cause of an error.
type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What an operator has to know while Redis is not used, after the reason.
macro_rules! without_redis {
    ($reason:literal) => {
        concat!(
            $reason,
            ": reports are taken and still counted once, but retries may be answered 201, quotas and carriers' limits are \
             per node, and no code is sent by SMS"
        )
    };
}

/// Why an answer of Redis could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer within the time limit.
    TimedOut,
    /// The connection broke or could not be made.
    Disconnected,
    /// No encryption could be agreed on, or the certificate is not believed.
    Tls,
    /// What came back is not Redis's protocol.
    Garbled,
    /// User or password are wrong, or may not do what is needed.
    Refused,
    /// The server is a replica.
    ReadOnly,
    /// `maxmemory` is reached and nothing may be evicted.
    Full,
    /// The server cannot save to its disk and therefore takes no writes.
    NotSaved,
    /// The server has fewer replicas than it wants for a write.
    TooFewReplicas,
    /// The server reads its data from disk.
    Loading,
    /// A replica whose master is away.
    MasterDown,
    /// The Cluster has no one for these keys.
    ClusterDown,
    /// The key belongs to another server, or the server takes the keys of one slot at a time: it is a Cluster's.
    Moved,
    /// No Sentinel names a master.
    NoMaster,
    /// The Sentinels name another master.
    Demoted,
    /// Somebody's script keeps the server busy.
    Busy,
    /// A key is on its way to another node of the Cluster.
    OnTheWay,
    /// The value of one key, or the answer to one question, is none of ours.
    Data,
}

impl Failure {
    /// What an error means. Its text is not looked at: it may quote a key.
    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io if error.is_timeout() => Self::TimedOut,
            ErrorKind::Io if is_tls(error) => Self::Tls,
            ErrorKind::Server(kind) => Self::of_server(kind),
            ErrorKind::Extension => Self::of_code(error.code().unwrap_or_default()),
            ErrorKind::AuthenticationFailed => Self::Refused,
            ErrorKind::UnexpectedReturnType => Self::Data,
            ErrorKind::Parse => Self::Garbled,
            ErrorKind::MasterNameNotFoundBySentinel => Self::NoMaster,
            // All others are about the connection; new kinds may come with new versions of the library.
            _ => Self::Disconnected,
        }
    }

    fn of_server(kind: ServerErrorKind) -> Self {
        match kind {
            ServerErrorKind::BusyLoading => Self::Loading,
            ServerErrorKind::ReadOnly => Self::ReadOnly,
            ServerErrorKind::MasterDown => Self::MasterDown,
            ServerErrorKind::ClusterDown => Self::ClusterDown,
            ServerErrorKind::Moved | ServerErrorKind::CrossSlot => Self::Moved,
            ServerErrorKind::Ask | ServerErrorKind::TryAgain => Self::OnTheWay,
            ServerErrorKind::NoPerm => Self::Refused,
            _ => Self::Data,
        }
    }

    /// Codes that the library has no name for.
    fn of_code(code: &str) -> Self {
        match code {
            "OOM" => Self::Full,
            "MISCONF" => Self::NotSaved,
            "NOREPLICAS" => Self::TooFewReplicas,
            "NOAUTH" | "WRONGPASS" | "DENIED" => Self::Refused,
            "BUSY" => Self::Busy,
            _ => Self::Data,
        }
    }

    /// Whether it says something about the server, not about one report alone.
    pub(super) fn concerns_all(self) -> bool {
        !matches!(self, Self::Data | Self::OnTheWay)
    }

    /// Whether a connection to one server is of no more use: a new one may lead to another server.
    pub(super) fn ends_connection(self) -> bool {
        match self {
            Self::Disconnected
            | Self::Tls
            | Self::Garbled
            | Self::Refused
            | Self::ReadOnly
            | Self::Loading
            | Self::MasterDown
            | Self::NoMaster
            | Self::Demoted => true,
            Self::TimedOut
            | Self::Full
            | Self::NotSaved
            | Self::TooFewReplicas
            | Self::ClusterDown
            | Self::Moved
            | Self::Busy
            | Self::OnTheWay
            | Self::Data => false,
        }
    }

    /// Whether it stays the same however often one connects: the server answers, and says no.
    pub(super) fn is_refusal_to_write(self) -> bool {
        matches!(self, Self::Full | Self::NotSaved | Self::TooFewReplicas | Self::Busy)
    }

    /// The word in metrics and logs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Disconnected => "disconnected",
            Self::Tls => "tls",
            Self::Garbled => "garbled",
            Self::Refused => "refused",
            Self::ReadOnly => "read_only",
            Self::Full => "full",
            Self::NotSaved => "not_saved",
            Self::TooFewReplicas => "too_few_replicas",
            Self::Loading => "loading",
            Self::MasterDown => "master_down",
            Self::ClusterDown => "cluster_down",
            Self::Moved => "moved",
            Self::NoMaster => "no_master",
            Self::Demoted => "demoted",
            Self::Busy => "busy",
            Self::OnTheWay => "on_the_way",
            Self::Data => "data",
        }
    }

    /// What an operator reads: why Redis is not used, and what is lost.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::TimedOut => without_redis!("redis does not answer in time"),
            Self::Disconnected => without_redis!("redis cannot be reached"),
            Self::Tls => without_redis!("redis shows no certificate that is believed, or wants no encryption"),
            Self::Garbled => without_redis!("what answers for redis is no redis"),
            Self::Refused => without_redis!("redis refuses the user, the password or a command"),
            Self::ReadOnly => without_redis!("redis is a read-only replica"),
            Self::Full => without_redis!("redis is full (maxmemory is reached and its policy evicts nothing)"),
            Self::NotSaved => without_redis!("redis cannot save to its disk and takes no writes"),
            Self::TooFewReplicas => without_redis!("redis has too few replicas and takes no writes"),
            Self::Loading => without_redis!("redis is loading its data"),
            Self::MasterDown => without_redis!("redis is a replica that has lost its master"),
            Self::ClusterDown => without_redis!("the redis cluster, or a part of it, is down"),
            Self::Moved => without_redis!("redis is a node of a cluster: name it with `redis+cluster:` in fast.url"),
            Self::NoMaster => without_redis!("no sentinel names a redis master"),
            Self::Demoted => without_redis!("the sentinels name another redis master"),
            Self::Busy => without_redis!("redis is busy with another script"),
            Self::OnTheWay => without_redis!("keys of redis are on their way to another node"),
            Self::Data => without_redis!("redis gives answers that make no sense"),
        }
    }
}

/// What rustls refuses arrives as invalid data. The library hands the cause out in its own wrapping.
fn is_tls(error: &RedisError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Cause>());
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn said(line: &str) -> Failure {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Failure::of(&value.extract_error().unwrap_err())
    }

    #[test]
    fn what_one_key_says_concerns_one_report() {
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value script: x, on @user_script:4.",
            "ERR user_script:9: attempt to compare nil with number script: x, on @user_script:9.",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "ASK 1 127.0.0.1:7000",
            "ANEWCODE of a later version",
        ] {
            assert!(!said(line).concerns_all(), "{line}");
        }
    }

    #[test]
    fn what_the_server_says_of_itself_concerns_all() {
        for (line, failure) in [
            ("OOM command not allowed when used memory > 'maxmemory'. script: x", Failure::Full),
            ("READONLY You can't write against a read only replica. script: x", Failure::ReadOnly),
            ("MISCONF Redis is configured to save RDB snapshots", Failure::NotSaved),
            ("NOREPLICAS Not enough good replicas to write.", Failure::TooFewReplicas),
            ("LOADING Redis is loading the dataset in memory", Failure::Loading),
            ("MASTERDOWN Link with MASTER is down", Failure::MasterDown),
            ("CLUSTERDOWN The cluster is down", Failure::ClusterDown),
            ("NOAUTH Authentication required.", Failure::Refused),
            ("NOPERM this user has no permissions", Failure::Refused),
            ("BUSY Redis is busy running a script.", Failure::Busy),
            ("MOVED 1 127.0.0.1:7000", Failure::Moved),
            ("CROSSSLOT Keys in request don't hash to the same slot", Failure::Moved),
        ] {
            assert_eq!(said(line), failure, "{line}");
            assert!(failure.concerns_all(), "{line}");
        }
    }

    #[test]
    fn time_outs_are_told_from_broken_connections() {
        let io = |kind| Failure::of(&RedisError::from(std::io::Error::from(kind)));
        assert_eq!(io(std::io::ErrorKind::TimedOut), Failure::TimedOut);
        assert_eq!(io(std::io::ErrorKind::BrokenPipe), Failure::Disconnected);
        assert_eq!(io(std::io::ErrorKind::ConnectionRefused), Failure::Disconnected);
        assert_eq!(io(std::io::ErrorKind::InvalidData), Failure::Tls);
    }

    #[test]
    fn what_does_not_parse_is_garbled() {
        let error = redis::parse_redis_value(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err();
        assert_eq!(Failure::of(&error), Failure::Garbled);
    }
}
