//! The URL of the fast state, read into its parts.
//!
//! What is wrong with one is told in a fixed sentence: the URL may hold a password, so nothing of it is repeated.

use std::path::PathBuf;

/// Where a Redis server listens when the URL names no port.
const SERVER_PORT: u16 = 6379;
/// Where a Sentinel listens when the URL names no port.
const SENTINEL_PORT: u16 = 26379;
/// Servers or Sentinels that one URL may name.
const HOSTS_MAX: usize = 64;
/// Highest number of a database: far above the 16 that a server has unless told otherwise.
const DATABASE_MAX: i64 = 65_535;

/// What the schemes may be, for complaints.
pub const SCHEMES: &str = "`memory:`, `redis:`, `rediss:`, `redis+unix:`, `redis+sentinel:`, `rediss+sentinel:`, \
                           `redis+cluster:` or `rediss+cluster:`";

/// What holds the fast state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FastUrl {
    /// This process.
    Memory,
    /// Redis.
    Redis(RedisTarget),
}

/// Redis, and how to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTarget {
    /// Where.
    pub place: RedisPlace,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// For the servers.
    pub login: Login,
    /// Number of the database.
    pub database: i64,
}

/// Where Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisPlace {
    /// One server.
    Server(HostPort),
    /// One server, by a Unix socket.
    Socket(PathBuf),
    /// The master that Sentinels name.
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<HostPort>,
        /// The name they know the master by.
        service: String,
        /// For the Sentinels themselves, which mostly ask for none.
        login: Login,
    },
    /// A Cluster.
    Cluster {
        /// Nodes to begin with; the others are learnt from them.
        nodes: Vec<HostPort>,
    },
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// User and password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// None is the server's default user.
    pub user: Option<String>,
    /// None when no password is asked for.
    pub password: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.password.is_some() { "Login(***)" } else { "Login(none)" })
    }
}

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FastUrlError {
    /// No engine has that name. Only a scheme is kept, and only when there was one.
    Scheme(String),
    /// The rest of it is wrong.
    Form(&'static str),
}

/// Place, login and database, or what is wrong.
type PartsRead = Result<(RedisPlace, Login, i64), &'static str>;

impl FastUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`FastUrlError`], which holds no part of the URL but its scheme.
    pub fn parse(url: &str) -> Result<Self, FastUrlError> {
        // Without a colon it is no scheme, and perhaps a password.
        let (scheme, rest) = url.split_once(':').ok_or_else(|| FastUrlError::Scheme("?".to_owned()))?;
        let read: fn(&str) -> PartsRead = match scheme {
            "memory" if rest.is_empty() => return Ok(Self::Memory),
            "memory" => return Err(FastUrlError::Form("nothing may follow `memory:`")),
            "redis" | "rediss" => read_server,
            "redis+unix" => read_socket,
            "redis+sentinel" | "rediss+sentinel" => read_sentinels,
            "redis+cluster" | "rediss+cluster" => read_cluster,
            _ => return Err(FastUrlError::Scheme(scheme.to_owned())),
        };
        let rest = rest.strip_prefix("//").ok_or(FastUrlError::Form("`//` must follow the scheme"))?;
        let (place, login, database) = read(rest).map_err(FastUrlError::Form)?;
        Ok(Self::Redis(RedisTarget { place, tls: scheme.starts_with("rediss"), login, database }))
    }
}

/// `[user:password@]host[:port][/database]`
fn read_server(rest: &str) -> PartsRead {
    let (login, rest) = split_login(rest)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((RedisPlace::Server(read_host(host, SERVER_PORT)?), login, read_database(path)?))
}

/// `/path[?db=…&user=…&pass=…]`
fn read_socket(rest: &str) -> PartsRead {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !path.starts_with('/') {
        return Err("the path of the socket must be absolute: three slashes follow `redis+unix:`");
    }
    let (mut login, mut database) = (Login::default(), 0);
    for (name, value) in read_query(query)? {
        match name {
            "db" => database = read_database(&value)?,
            "user" => login.user = Some(value),
            "pass" => login.password = Some(value),
            _ => return Err("after `?` there may be `db`, `user` and `pass`"),
        }
    }
    Ok((RedisPlace::Socket(PathBuf::from(decode(path)?)), checked(login)?, database))
}

/// `[user:password@]host[:port],…/service[/database][?sentinel_user=…&sentinel_password=…]`
fn read_sentinels(rest: &str) -> PartsRead {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (login, rest) = split_login(rest)?;
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if service.is_empty() || !service.bytes().all(well_formed) {
        return Err("after the Sentinels there must be `/` and the name of the master they watch");
    }
    let mut sentinel_login = Login::default();
    for (name, value) in read_query(query)? {
        match name {
            "sentinel_user" => sentinel_login.user = Some(value),
            "sentinel_password" => sentinel_login.password = Some(value),
            _ => return Err("after `?` there may be `sentinel_user` and `sentinel_password`"),
        }
    }
    let place = RedisPlace::Sentinel {
        sentinels: read_hosts(hosts, SENTINEL_PORT)?,
        service: service.to_owned(),
        login: checked(sentinel_login)?,
    };
    Ok((place, login, read_database(database)?))
}

/// `[user:password@]host[:port],…`
fn read_cluster(rest: &str) -> PartsRead {
    let (login, rest) = split_login(rest)?;
    let hosts = rest.strip_suffix('/').unwrap_or(rest);
    if hosts.contains('/') {
        return Err("a Cluster has one database: nothing may follow its nodes");
    }
    Ok((RedisPlace::Cluster { nodes: read_hosts(hosts, SERVER_PORT)? }, login, 0))
}

/// Takes `user:password@` off the front.
fn split_login(rest: &str) -> Result<(Login, &str), &'static str> {
    let Some((login, rest)) = rest.rsplit_once('@') else { return Ok((Login::default(), rest)) };
    if login.contains(['/', '@', '?', '#']) {
        return Err("in user and password, write `/`, `@`, `?` and `#` as `%2F`, `%40`, `%3F` and `%23`");
    }
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let user = (!user.is_empty()).then(|| decode(user)).transpose()?;
    let login = Login { user, password: password.map(decode).transpose()? };
    Ok((checked(login)?, rest))
}

fn checked(login: Login) -> Result<Login, &'static str> {
    if login.user.is_some() && login.password.is_none() {
        return Err("a user needs a password: `user:password@`");
    }
    Ok(login)
}

fn read_hosts(hosts: &str, port: u16) -> Result<Vec<HostPort>, &'static str> {
    let hosts: Vec<HostPort> = hosts.split(',').map(|host| read_host(host, port)).collect::<Result<_, _>>()?;
    if hosts.len() > HOSTS_MAX { Err("it names more than 64 hosts") } else { Ok(hosts) }
}

fn read_host(text: &str, default_port: u16) -> Result<HostPort, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        // An IPv6 address.
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an address in brackets must end with `]`")?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("only an IPv6 address stands in brackets");
            }
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or_default()) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(well_formed) {
        return Err("hosts are names or addresses, with commas between them where there may be several");
    }
    let port = match port {
        None => default_port,
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or("a port is a number from 1 to 65535")?,
    };
    Ok(HostPort { host: host.to_owned(), port })
}

fn read_database(path: &str) -> Result<i64, &'static str> {
    if path.is_empty() {
        return Ok(0);
    }
    let digits = path.bytes().all(|byte| byte.is_ascii_digit());
    let database = path.parse().ok().filter(|database| digits && *database <= DATABASE_MAX);
    database.ok_or("a database is a number, and nothing may follow it")
}

fn read_query(query: &str) -> Result<Vec<(&str, String)>, &'static str> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').ok_or("after `?` there must be names and values")?;
            Ok((name, decode(value)?))
        })
        .collect()
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, &'static str> {
    let wrong = "after `%` there must be two hexadecimal digits, and all of it must be UTF-8";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(wrong);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| wrong)?);
    }
    String::from_utf8(bytes).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn target(url: &str) -> RedisTarget {
        match FastUrl::parse(url).unwrap() {
            FastUrl::Redis(target) => target,
            FastUrl::Memory => unreachable!("{url} is no memory"),
        }
    }
    fn host(host: &str, port: u16) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }
    fn login(user: &str, password: &str) -> Login {
        Login { user: (!user.is_empty()).then(|| user.to_owned()), password: Some(password.to_owned()) }
    }

    #[test]
    fn memory_is_memory() {
        assert_eq!(FastUrl::parse("memory:"), Ok(FastUrl::Memory));
        assert!(FastUrl::parse("memory:x").is_err());
    }

    #[test]
    fn one_server_is_read() {
        let plain = target("redis://cache");
        assert_eq!((plain.place, plain.tls, plain.database), (RedisPlace::Server(host("cache", 6379)), false, 0));
        let full = target("rediss://gate:p%40ss@cache.example:7000/3");
        assert_eq!(full.place, RedisPlace::Server(host("cache.example", 7000)));
        assert_eq!((full.tls, full.login, full.database), (true, login("gate", "p@ss"), 3));
        assert_eq!(target("redis://:pw@[::1]:6380/").login, login("", "pw"));
        assert_eq!(target("redis://[::1]").place, RedisPlace::Server(host("::1", 6379)));
    }

    #[test]
    fn a_socket_is_read() {
        let plain = target("redis+unix:///run/redis.sock");
        assert_eq!(plain.place, RedisPlace::Socket(PathBuf::from("/run/redis.sock")));
        let full = target("redis+unix:///run/redis.sock?db=2&user=gate&pass=a%26b");
        assert_eq!((full.login, full.database), (login("gate", "a&b"), 2));
    }

    #[test]
    fn sentinels_are_read() {
        let RedisTarget { place, tls, login: servers, database } =
            target("rediss+sentinel://gate:pw@s1,s2:26380,[::1]/spam-gate/4?sentinel_user=w&sentinel_password=q");
        let sentinels = vec![host("s1", 26379), host("s2", 26380), host("::1", 26379)];
        let expected = RedisPlace::Sentinel { sentinels, service: "spam-gate".to_owned(), login: login("w", "q") };
        assert_eq!((place, tls, servers, database), (expected, true, login("gate", "pw"), 4));
    }

    #[test]
    fn a_cluster_is_read() {
        let nodes = vec![host("10.0.0.1", 7000), host("10.0.0.2", 6379)];
        for url in ["redis+cluster://:pw@10.0.0.1:7000,10.0.0.2", "redis+cluster://:pw@10.0.0.1:7000,10.0.0.2/"] {
            let RedisTarget { place, tls, login: found, .. } = target(url);
            assert_eq!((place, tls, found), (RedisPlace::Cluster { nodes: nodes.clone() }, false, login("", "pw")));
        }
        assert!(target("rediss+cluster://c").tls);
    }

    #[test]
    fn an_unknown_scheme_is_told_and_nothing_else() {
        assert_eq!(FastUrl::parse("valkey://u:secret@h"), Err(FastUrlError::Scheme("valkey".to_owned())));
        assert_eq!(FastUrl::parse("secret"), Err(FastUrlError::Scheme("?".to_owned())));
        assert_eq!(FastUrl::parse(""), Err(FastUrlError::Scheme("?".to_owned())));
    }

    #[test]
    fn what_is_malformed_is_refused_without_its_words() {
        for url in [
            "redis:cache",
            "redis://",
            "redis://user-secret@cache",
            "redis://u:se/cret@cache",
            "redis://u:secret@",
            "redis://cache:port-secret",
            "redis://cache:0",
            "redis://cache:65536",
            "redis://cache/secret",
            "redis://cache/-1",
            "redis://cache/1/secret",
            "redis://ca che",
            "redis://a,b",
            "redis://cache?secret=1",
            "redis://[::1",
            "redis://[secret]",
            "redis://u:%zz@cache",
            "redis://u:%ff@cache",
            "redis+unix://redis.sock",
            "redis+unix:///redis.sock?secret=1",
            "redis+unix:///redis.sock?user=secret",
            "redis+sentinel://s1,s2",
            "redis+sentinel://s1,s2/",
            "redis+sentinel://s1/sec ret",
            "redis+sentinel://s1,/m",
            "redis+sentinel://s1/m/secret",
            "redis+cluster://a,b/1",
            "redis+cluster://",
        ] {
            match FastUrl::parse(url) {
                Err(FastUrlError::Form(reason)) => assert!(!reason.contains("secret"), "{reason}"),
                other => unreachable!("{url}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let shown = format!("{:?}", target("redis+sentinel://u:hunter2@s/m?sentinel_password=hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
