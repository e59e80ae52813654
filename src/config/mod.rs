//! Configuration: the commented defaults, a file, the environment, flags; later ones win, unknown ones are refused.

pub mod fast_url;
pub mod verify;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use self::fast_url::{FastUrl, FastUrlError, SCHEMES};
use self::verify::VerifySettings;
use crate::domain::mo_syntax::FakeNewsWord;
use crate::domain::msisdn::HomeCountry;
use crate::domain::network::Network;
use crate::domain::public_url::PublicUrl;
use crate::domain::submission::Region;

/// The defaults, as documentation.
pub const DEFAULTS: &str = include_str!("defaults.toml");
/// First part of an environment variable that is a setting.
const ENVIRONMENT_PREFIX: &str = "SPAMGATE__";
/// The data directory without `--data`.
pub const DEFAULT_DATA_DIRECTORY: &str = "spamgate-data";
/// Longest first part of the keys in Redis. It stands in every key; braces would choose the slot of all of them.
const KEY_PREFIX_MAX_BYTES: usize = 64;
/// Largest configuration file read, bytes.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// What is wrong with the configuration; names the setting, never shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is too large to be a configuration.
    #[error("{0}: larger than 1 MiB")]
    TooLarge(PathBuf),
    /// Not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// Which file or variable.
        origin: String,
        /// What the parser says.
        message: String,
    },
    /// A setting that does not exist, or of another type.
    #[error("configuration: {0}")]
    Setting(String),
    /// A setting whose value makes no sense.
    #[error("{setting}: {reason}")]
    Value {
        /// Which.
        setting: &'static str,
        /// Why.
        reason: String,
    },
}

/// All settings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Listeners and their bounds.
    pub server: ServerSettings,
    /// The database.
    pub store: StoreSettings,
    /// Seen and quotas.
    pub fast: FastSettings,
    /// Bounds on what callers may send.
    pub limits: LimitSettings,
    /// Subscribers' SMS.
    pub mo: MoSettings,
    /// The citizens' pages.
    pub citizen: CitizenSettings,
    /// From journal to cases.
    pub builder: BuilderConfig,
    /// Calling carriers.
    pub webhooks: WebhookSettings,
    /// Codes by SMS.
    pub verify: VerifySettings,
    /// Where the gateway stands.
    pub region: RegionSettings,
    /// Key files.
    pub keys: KeySettings,
    /// Logs.
    pub log: LogSettings,
}

/// See `defaults.toml`, as for all below.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct ServerSettings {
    pub role: Role,
    pub listen: SocketAddr,
    pub trusted_proxies: Vec<Network>,
    pub public_url: String,
    pub ops_listen: SocketAddr,
    pub workers: usize,
    pub connections_max_per_worker: usize,
    pub connections_max_per_address: u32,
    pub connection_requests_max: u32,
    pub connection_age_max_s: u64,
    pub requests_max_per_worker: u32,
    pub reads_shed_from_per_worker: u32,
    pub body_max_bytes: usize,
    pub body_timeout_ms: u64,
    pub append_timeout_ms: u64,
    pub shutdown_timeout_s: u64,
}

impl ServerSettings {
    /// How carriers reach the gateway; none when it is not said.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn parsed_public_url(&self) -> Result<Option<PublicUrl>, ConfigError> {
        if self.public_url.is_empty() {
            return Ok(None);
        }
        let url = PublicUrl::parse(&self.public_url);
        url.map(Some).map_err(|reason| ConfigError::Value { setting: "server.public_url", reason })
    }
}

/// What a node does.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    All,
    /// Takes reports.
    Intake,
    /// Builds cases, and holds the private key.
    Review,
}

impl Role {
    /// Whether it takes reports.
    #[must_use]
    pub const fn takes_reports(self) -> bool {
        matches!(self, Self::All | Self::Intake)
    }

    /// Whether it builds cases.
    #[must_use]
    pub const fn builds_cases(self) -> bool {
        matches!(self, Self::All | Self::Review)
    }
}

/// The database.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct StoreSettings {
    pub url: String,
    pub url_file: String,
    pub builder_url: String,
    pub builder_url_file: String,
    pub read_connections: u32,
}

impl StoreSettings {
    /// The builder's URL.
    #[must_use]
    pub fn for_builder(&self) -> &str {
        if self.builder_url.is_empty() { &self.url } else { &self.builder_url }
    }
}

impl std::fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSettings").field("url", &without_password(&self.url)).finish_non_exhaustive()
    }
}

/// Seen and quotas.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct FastSettings {
    pub url: String,
    pub url_file: String,
    pub key_prefix: String,
    pub timeout_ms: u64,
    pub seen_max: usize,
}

impl FastSettings {
    /// What the URL names.
    ///
    /// # Errors
    /// When it cannot be read. Only the scheme is shown: the rest may hold a password.
    pub fn parsed_url(&self) -> Result<FastUrl, ConfigError> {
        FastUrl::parse(&self.url).map_err(|error| ConfigError::Value {
            setting: "fast.url",
            reason: match error {
                FastUrlError::Scheme(scheme) => format!("`{scheme}` is no engine: use {SCHEMES}"),
                FastUrlError::Form(reason) => reason.to_owned(),
            },
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.parsed_url()?;
        let well_formed = |byte: u8| byte.is_ascii_graphic() && !b"{}".contains(&byte);
        if !(1..=KEY_PREFIX_MAX_BYTES).contains(&self.key_prefix.len()) || !self.key_prefix.bytes().all(well_formed) {
            let reason = "must be 1 to 64 printable ASCII characters without spaces and braces".to_owned();
            return Err(ConfigError::Value { setting: "fast.key_prefix", reason });
        }
        Ok(())
    }
}

impl std::fmt::Debug for FastSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FastSettings").field("url", &without_password(&self.url)).finish_non_exhaustive()
    }
}

/// Bounds on what callers may send.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct LimitSettings {
    pub reporter_per_day: NonZeroU32,
    pub reporters_max: usize,
    pub carrier_per_second: NonZeroU32,
    pub carrier_burst: NonZeroU32,
    pub carrier_per_day: u32,
    pub queue_items: usize,
    pub queue_bytes: usize,
    pub batch_lines: usize,
    pub batch_bytes: usize,
    pub batches_max: usize,
    pub batches_per_carrier: usize,
}

/// Subscribers' SMS.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct MoSettings {
    pub fake_news_word: String,
    pub questions_max: usize,
}

/// The citizens' pages.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct CitizenSettings {
    pub sms_number: String,
    pub review_days: u32,
    pub hotlines: Vec<Hotline>,
}

/// Whom people call who have lost money.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct Hotline {
    pub number: String,
    pub vi: String,
    pub en: String,
}

impl MoSettings {
    /// The word that begins a report of fake news.
    ///
    /// # Errors
    /// When it is no word, or has a meaning already.
    pub fn word(&self) -> Result<FakeNewsWord, ConfigError> {
        FakeNewsWord::parse(&self.fake_news_word)
            .map_err(|reason| ConfigError::Value { setting: "mo.fake_news_word", reason })
    }
}

/// From journal to cases.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct BuilderConfig {
    pub slice_rows: u32,
}

/// Calling carriers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct WebhookSettings {
    pub timeout_ms: u64,
    pub allow_internal: InternalTargets,
}

/// Which addresses that are not the internet's webhooks may go to.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum InternalTargets {
    /// None.
    None,
    /// This machine, also without TLS.
    Loopback,
}

/// Where the gateway stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct RegionSettings {
    pub country: String,
    pub utc_offset_minutes: i32,
    pub provinces: Vec<String>,
}

/// Key files.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct KeySettings {
    pub directory: String,
}

/// Logs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl std::fmt::Display for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// The configuration from the defaults, `file` and `environment`, checked.
    ///
    /// # Errors
    /// The first setting that is unknown or makes no sense.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut table = parse_toml("built-in defaults", DEFAULTS)?;
        if let Some(path) = file {
            let text = read_file(path)?;
            let over = parse_toml(&path.display().to_string(), &text)?;
            merge(&mut table, over);
        }
        let mut variables: Vec<(String, String)> =
            environment.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
        variables.sort();
        for (name, value) in variables {
            set_from_environment(&mut table, &name, &value)?;
        }
        let mut config: Self =
            Value::Table(table).try_into().map_err(|error: toml::de::Error| setting_error(&error))?;
        config.read_secrets()?;
        config.check()?;
        Ok(config)
    }

    /// The defaults alone.
    ///
    /// # Errors
    /// Never, unless `defaults.toml` itself is wrong.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::load(None, std::iter::empty())
    }

    fn read_secrets(&mut self) -> Result<(), ConfigError> {
        let StoreSettings { url, url_file, builder_url, builder_url_file, .. } = &mut self.store;
        let secrets = [(&mut self.fast.url, &self.fast.url_file), (url, &*url_file), (builder_url, &*builder_url_file)];
        for (url, file) in secrets.into_iter().filter(|(_, file)| !file.is_empty()) {
            *url = read_file(Path::new(file))?.trim().to_owned();
        }
        let verify = &mut self.verify;
        let hidden = [
            (&mut verify.kannel_password, &verify.kannel_password_file),
            (&mut verify.camara_token, &verify.camara_token_file),
            (&mut verify.network_key, &verify.network_key_file),
        ];
        for (secret, file) in hidden.into_iter().filter(|(_, file)| !file.is_empty()) {
            *secret = read_file(Path::new(file))?.trim().to_owned().into();
        }
        Ok(())
    }

    /// Whether every value makes sense.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.region()?;
        self.fast.check()?;
        self.mo.word()?;
        self.verify.check(&self.server)?;
        self.verify.parsed_countries(self.region()?.home)?;
        self.server.parsed_public_url()?;
        let as_usize = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        let bounds = [
            ("mo.questions_max", self.mo.questions_max, 1, 1 << 24),
            ("server.body_max_bytes", self.server.body_max_bytes, 1_024, 16 << 20),
            ("server.connections_max_per_worker", self.server.connections_max_per_worker, 1, 1 << 20),
            ("server.connection_requests_max", as_usize(self.server.connection_requests_max), 1, 1 << 31),
            ("server.requests_max_per_worker", as_usize(self.server.requests_max_per_worker), 1, 1 << 20),
            ("server.reads_shed_from_per_worker", as_usize(self.server.reads_shed_from_per_worker), 1, 1 << 20),
            ("server.workers", self.server.workers, 0, 512),
            ("store.read_connections", usize::try_from(self.store.read_connections).unwrap_or(0), 1, 256),
            ("limits.batch_lines", self.limits.batch_lines, 1, 1_000_000),
            ("limits.batch_bytes", self.limits.batch_bytes, 1_024, 1 << 30),
            ("limits.batches_max", self.limits.batches_max, 1, 1_024),
            ("limits.batches_per_carrier", self.limits.batches_per_carrier, 1, 1_024),
            ("limits.queue_items", self.limits.queue_items, 1, 1 << 20),
            ("limits.queue_bytes", self.limits.queue_bytes, 1 << 16, 1 << 32),
            ("limits.reporters_max", self.limits.reporters_max, 1, 1 << 30),
            ("fast.seen_max", self.fast.seen_max, 1_000, 1 << 30),
            // Ten that time out one after another must not outlast the time for which a node has them in hand.
            ("webhooks.timeout_ms", usize::try_from(self.webhooks.timeout_ms).unwrap_or(0), 100, 20_000),
            ("builder.slice_rows", usize::try_from(self.builder.slice_rows).unwrap_or(0), 1, 100_000),
        ];
        for (setting, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::Value { setting, reason: format!("must be from {least} to {most}") });
            }
        }
        let waits = [
            ("server.body_timeout_ms", self.server.body_timeout_ms),
            ("server.append_timeout_ms", self.server.append_timeout_ms),
            ("fast.timeout_ms", self.fast.timeout_ms),
        ];
        for (setting, value) in waits {
            if !(1..=600_000).contains(&value) {
                return Err(ConfigError::Value { setting, reason: "must be from 1 to 600000".to_owned() });
            }
        }
        if !(1..=604_800).contains(&self.server.connection_age_max_s) {
            let reason = "must be from 1 to 604800".to_owned();
            return Err(ConfigError::Value { setting: "server.connection_age_max_s", reason });
        }
        Ok(())
    }

    /// How numbers are read here.
    ///
    /// # Errors
    /// When the country is unknown or a province code could not be stored.
    pub fn region(&self) -> Result<Region, ConfigError> {
        let home = HomeCountry::parse(&self.region.country).ok_or_else(|| ConfigError::Value {
            setting: "region.country",
            reason: format!("`{}` is no ISO 3166 code with a numbering plan", self.region.country),
        })?;
        let well_formed = |code: &String| {
            (1..=16).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !self.region.provinces.iter().all(well_formed) {
            let reason = "codes are 1 to 16 letters, digits and hyphens".to_owned();
            return Err(ConfigError::Value { setting: "region.provinces", reason });
        }
        let utc_offset_minutes = self.region.utc_offset_minutes;
        if !(-14 * 60..=14 * 60).contains(&utc_offset_minutes) {
            let reason = "no clock is further from UTC than 840 minutes".to_owned();
            return Err(ConfigError::Value { setting: "region.utc_offset_minutes", reason });
        }
        Ok(Region { home, province_codes: self.region.provinces.clone(), utc_offset_minutes })
    }

    /// The configuration as TOML, with secrets left out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut shown = self.clone();
        for url in [&mut shown.fast.url, &mut shown.store.url, &mut shown.store.builder_url] {
            *url = without_password(url);
        }
        toml::to_string(&shown).unwrap_or_default()
    }
}

/// A URL without what stands before the `@` and without its query.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    match rest.rfind('@') {
        None => format!("{scheme}://{}", rest.get(..end).unwrap_or_default()),
        Some(at) if at < end => format!("{scheme}://***{}", rest.get(at..end).unwrap_or_default()),
        // A `?` before the `@` may belong to a password.
        Some(_) => format!("{scheme}://***"),
    }
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let error = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(error)?.len() > FILE_MAX_BYTES {
        return Err(ConfigError::TooLarge(path.to_owned()));
    }
    std::fs::read_to_string(path).map_err(error)
}

fn parse_toml(origin: &str, text: &str) -> Result<Table, ConfigError> {
    // The parser's message only: its display would quote the line, which may hold a secret.
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        ConfigError::Syntax { origin: format!("{origin}, line {line}"), message: error.message().to_owned() }
    })
}

fn setting_error(error: &toml::de::Error) -> ConfigError {
    ConfigError::Setting(error.message().to_owned())
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Puts one environment variable in place. Its value is read as the type the default has.
fn set_from_environment(table: &mut Table, name: &str, value: &str) -> Result<(), ConfigError> {
    let unknown = || ConfigError::Setting(format!("the environment variable {name} names no setting"));
    let path = name.strip_prefix(ENVIRONMENT_PREFIX).unwrap_or_default().to_lowercase();
    let (section, key) = path.split_once("__").ok_or_else(unknown)?;
    let slot = table.get_mut(section).and_then(Value::as_table_mut).and_then(|section| section.get_mut(key));
    let slot = slot.ok_or_else(unknown)?;
    let parsed = match slot {
        Value::String(_) => Value::String(value.to_owned()),
        Value::Array(_) if value.is_empty() => Value::Array(Vec::new()),
        Value::Array(_) => Value::Array(value.split(',').map(|item| Value::String(item.trim().to_owned())).collect()),
        Value::Integer(_) => value
            .parse()
            .map(Value::Integer)
            .map_err(|_| ConfigError::Setting(format!("the environment variable {name} must be a whole number")))?,
        Value::Boolean(_) => value
            .parse()
            .map(Value::Boolean)
            .map_err(|_| ConfigError::Setting(format!("the environment variable {name} must be true or false")))?,
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => return Err(unknown()),
    };
    *slot = parsed;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::load(None, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }
    fn with_file(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(Some(file.path()), std::iter::empty())
    }

    #[test]
    fn the_commented_file_is_the_defaults() {
        let config = Config::defaults().unwrap();
        assert_eq!(config.limits.reporter_per_day.get(), 20);
        assert_eq!(config.region.provinces.len(), 34);
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        assert_eq!(with_file("[limits]\nreporter_per_day = 5").unwrap().limits.reporter_per_day.get(), 5);
        let config = with(&[("SPAMGATE__LIMITS__REPORTER_PER_DAY", "7"), ("SPAMGATE__LOG__LEVEL", "debug")]).unwrap();
        assert_eq!(config.limits.reporter_per_day.get(), 7);
        assert_eq!(config.log.level, LogLevel::Debug);
    }

    #[test]
    fn a_setting_that_does_not_exist_is_refused_with_its_name() {
        for error in [
            with_file("[limits]\nreporter_per_dya = 5").err().unwrap(),
            with_file("[limit]\nx = 5").err().unwrap(),
            with(&[("SPAMGATE__LIMITS__REPORTER_PER_DYA", "7")]).err().unwrap(),
        ] {
            let text = error.to_string().to_lowercase();
            assert!(text.contains("reporter_per_dya") || text.contains("`limit`"), "{text}");
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused() {
        for text in [
            "[limits]\nreporter_per_day = 0",
            "[limits]\ncarrier_burst = -1",
            "[region]\ncountry = \"XX\"",
            "[server]\nlisten = \"nowhere\"",
            "[server]\nbody_max_bytes = 5",
            "[server]\ntrusted_proxies = [\"10.0.0.1/8\"]",
            "[log]\nlevel = \"loud\"",
        ] {
            assert!(with_file(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_is_asked_with_all_that_it_needs_or_not_at_all() {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
        let (right, wrong) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(right.path(), key).unwrap();
        std::fs::write(wrong.path(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
        let whole = [
            ("SPAMGATE__VERIFY__NETWORK_URL", "https://operator.example/number-verification/v2"),
            ("SPAMGATE__SERVER__PUBLIC_URL", "https://report.example"),
            ("SPAMGATE__VERIFY__NETWORK_AUTHORIZE_URL", "https://operator.example/authorize"),
            ("SPAMGATE__VERIFY__NETWORK_TOKEN_URL", "https://operator.example/token"),
            ("SPAMGATE__VERIFY__NETWORK_CLIENT_ID", "gateway-1"),
            ("SPAMGATE__VERIFY__NETWORK_KEY_ID", "key-1"),
            ("SPAMGATE__VERIFY__NETWORK_KEY_FILE", right.path().to_str().unwrap()),
        ];
        with(&whole).unwrap();
        for left_out in 1..whole.len() {
            let mut rest = whole.to_vec();
            let (name, _) = rest.remove(left_out);
            let error = with(&rest).err().unwrap().to_string();
            let setting = name.rsplit("__").next().unwrap().to_lowercase();
            assert!(error.contains(&setting), "{error}");
        }
        let mut with_wrong = whole;
        with_wrong[6].1 = wrong.path().to_str().unwrap();
        assert!(with(&with_wrong).err().unwrap().to_string().contains("openssl genpkey"));
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (url, shown) in [
            ("redis://user:hunter2@host:6379/0", "redis://***@host:6379/0"),
            ("rediss://:hunter2@host", "rediss://***@host"),
            ("redis+unix:///run/r.sock?pass=hunter2", "redis+unix:///run/r.sock"),
            ("redis+sentinel://u:hunter2@a:1,b:2/m/1", "redis+sentinel://***@a:1,b:2/m/1"),
            ("redis+sentinel://a,b/m?sentinel_password=hunter2", "redis+sentinel://a,b/m"),
            ("redis+sentinel://a,b/m?sentinel_password=x%40hunter2", "redis+sentinel://a,b/m"),
            ("rediss+cluster://u:hunter2@a,b", "rediss+cluster://***@a,b"),
        ] {
            let config = with(&[("SPAMGATE__FAST__URL", url)]).unwrap();
            assert!(!config.to_toml().contains("hunter2"), "{url}");
            assert!(!format!("{config:?}").contains("hunter2"), "{url}");
            assert!(config.to_toml().contains(&format!("\"{shown}\"")), "{}", config.to_toml());
        }
        for malformed in ["redis://u:hunter2?hunter2@host", "redis://h?a=x@hunter2"] {
            assert!(!without_password(malformed).contains("hunter2"), "{malformed}");
        }
    }

    #[test]
    fn a_fast_url_that_cannot_be_read_is_refused_without_being_repeated() {
        for url in ["hunter2", "valkey://u:hunter2@host", "redis://u:hunter2@host:x", "redis+sentinel://u:hunter2@s"] {
            let error = with(&[("SPAMGATE__FAST__URL", url)]).err().unwrap().to_string();
            assert!(error.starts_with("fast.url: ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_prefix_that_would_choose_the_slot_is_refused() {
        for prefix in ["{a}", "a{", "a}", "", "a b", "x".repeat(65).as_str()] {
            assert!(with(&[("SPAMGATE__FAST__KEY_PREFIX", prefix)]).is_err(), "{prefix}");
        }
    }
}
