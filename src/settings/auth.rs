//! `AuthSettings`: how it is known who connects and who posts, and how it is read.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::Choice as _;
use super::live::LiveSettings;
use super::map::{PageUrl, ServiceUrl};
use super::read::Reader;
use super::secret::Secret;
use super::secret_file;
use super::setting::Setting;
use super::table;
use super::token::{Algorithm, Mode};

/// Settings of authentication.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// Who says who someone is.
    pub authority: Authority,
    /// How long a key server, or the URL that is asked, may take.
    pub timeout: Duration,
    /// The cookie that a token may come in; `None`: none.
    pub cookie: Option<String>,
    /// How long a connection without a token may take to send one.
    pub deadline: Duration,
    /// How long a token may live at most.
    pub max_lifetime: Duration,
}

/// Who says who someone is.
#[derive(Clone, Debug)]
pub enum Authority {
    /// Nobody: everyone may read everything.
    Nobody,
    /// Whoever signs tokens.
    Jwt(JwtSettings),
    /// A URL that is asked.
    Http(PageUrl),
}

/// Which tokens are good.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// What their signatures are checked with.
    pub keys: JwtKeys,
    /// How they are signed. Others are refused, whatever they say of themselves.
    pub algorithm: Algorithm,
    /// Whom they must be for, if anyone; one that names somebody is refused where this is `None` (RFC 7519 section 4.1.3).
    pub audience: Option<String>,
    /// Who must have issued them, if it matters.
    pub issuer: Option<String>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
    /// Whether they must say when they end.
    pub require_expiry: bool,
}

/// What signatures are checked with.
#[derive(Clone, Debug)]
pub enum JwtKeys {
    /// A secret that both sides have.
    Secret(Secret),
    /// A public key in PEM format, in this file.
    PublicKey(PathBuf),
    /// A set of keys at this URL (RFC 7517 section 5).
    Set(PageUrl),
}

/// What they are, for the log.
impl fmt::Display for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => write!(f, "AUTH_JWT_SECRET"),
            Self::PublicKey(file) => write!(f, "the public key in {}", file.display()),
            Self::Set(url) => write!(f, "the keys at {}", url.without_query()),
        }
    }
}

impl AuthSettings {
    /// True if nobody is asked, as that is what is wanted: not for a fault in these settings.
    pub(super) fn is_off(&self, read: &mut Reader) -> bool {
        matches!(self.authority, Authority::Nobody)
            && read.is_sound(&table::AUTH)
            && read.value(&table::AUTH) == Mode::Nobody
    }

    pub(super) fn read(read: &mut Reader, live: &LiveSettings) -> Self {
        let days: u32 = read.value(&table::AUTH_MAX_TOKEN_DAYS);
        let cookie = read.optional(&table::AUTH_COOKIE);
        if let Some(name) = &cookie
            && live.allowed_origins.is_empty()
            && read.is_sound(&table::LIVE_WS_ALLOWED_ORIGINS)
        {
            // Browsers send a cookie for whatever page connects.
            let allowed = "only together with LIVE_WS_ALLOWED_ORIGINS: any web page could connect with its visitors' cookies";
            read.fault(&table::AUTH_COOKIE, name, allowed.to_owned());
        }
        let authority = authority(read, cookie.is_some());
        Self {
            timeout: timeout(read, &authority, live),
            authority,
            cookie,
            deadline: read.value(&table::AUTH_DEADLINE_MS),
            max_lifetime: Duration::from_secs(u64::from(days) * 24 * 60 * 60),
        }
    }
}

/// How long whoever is asked may take: a handshake waits for it.
fn timeout(read: &mut Reader, authority: &Authority, live: &LiveSettings) -> Duration {
    let setting = &table::AUTH_TIMEOUT_MS;
    let timeout = read.value(setting);
    let handshake = &table::LIVE_WS_HANDSHAKE_TIMEOUT_MS;
    let is_asked = !matches!(authority, Authority::Nobody);
    if is_asked && timeout >= live.handshake_timeout && read.is_sound(setting) && read.is_sound(handshake) {
        let least = live.handshake_timeout.as_millis();
        read.fault(setting, &timeout, format!("less than {}, which is {least}", handshake.variable));
    }
    timeout
}

/// Everything that says who someone is, of which one is used.
struct Sources {
    secret: Option<Secret>,
    public_key: Option<PathBuf>,
    key_set: Option<PageUrl>,
    url: Option<PageUrl>,
    algorithm: Option<Algorithm>,
    audience: Option<String>,
    issuer: Option<String>,
}

impl Sources {
    fn read(read: &mut Reader) -> Self {
        Self {
            secret: secret_file::secret(read, &table::AUTH_JWT_SECRET, &table::AUTH_JWT_SECRET_FILE),
            public_key: read.optional(&table::AUTH_JWT_PUBLIC_KEY_FILE),
            key_set: url(read, &table::AUTH_JWKS_URL),
            url: url(read, &table::AUTH_HTTP_URL),
            algorithm: read.optional(&table::AUTH_JWT_ALGORITHM),
            audience: read.optional(&table::AUTH_AUDIENCE),
            issuer: read.optional(&table::AUTH_ISSUER),
        }
    }

    /// The names of those that are set and are for JWTs.
    fn of_jwt(&self) -> Vec<&'static str> {
        let named = [
            (self.secret.is_some(), "AUTH_JWT_SECRET (or AUTH_JWT_SECRET_FILE)"),
            (self.public_key.is_some(), table::AUTH_JWT_PUBLIC_KEY_FILE.variable),
            (self.key_set.is_some(), table::AUTH_JWKS_URL.variable),
            (self.algorithm.is_some(), table::AUTH_JWT_ALGORITHM.variable),
            (self.audience.is_some(), table::AUTH_AUDIENCE.variable),
            (self.issuer.is_some(), table::AUTH_ISSUER.variable),
        ];
        named.into_iter().filter_map(|(is_set, name)| is_set.then_some(name)).collect()
    }
}

fn authority(read: &mut Reader, has_cookie: bool) -> Authority {
    let mode = read.value(&table::AUTH);
    let sources = Sources::read(read);
    let skew = read.value(&table::AUTH_CLOCK_SKEW_MS);
    let require_expiry = read.value(&table::AUTH_REQUIRE_EXPIRY);
    if !read.is_sound(&table::AUTH) {
        return Authority::Nobody;
    }
    let of_jwt = if mode == Mode::Jwt { Vec::new() } else { sources.of_jwt() };
    let mut stray: Vec<_> = of_jwt.into_iter().map(|name| (name, "AUTH=jwt")).collect();
    if mode != Mode::Http && sources.url.is_some() {
        stray.push((table::AUTH_HTTP_URL.variable, "AUTH=http"));
    }
    if mode == Mode::Nobody && has_cookie {
        stray.push((table::AUTH_COOKIE.variable, "AUTH=jwt and AUTH=http"));
    }
    if !stray.is_empty() {
        let stray: Vec<_> = stray
            .into_iter()
            .map(|(name, whose)| format!("{name}, which is set and is for {whose}"))
            .collect();
        read.fault(&table::AUTH, &mode, format!("only without {}", stray.join("; and without ")));
        return Authority::Nobody;
    }
    match mode {
        Mode::Nobody => Authority::Nobody,
        Mode::Http => match sources.url {
            Some(url) => Authority::Http(url),
            None => {
                missing(read, mode, "AUTH_HTTP_URL must be set, which is asked who someone is");
                Authority::Nobody
            }
        },
        Mode::Jwt => jwt(read, sources, skew, require_expiry).map_or(Authority::Nobody, Authority::Jwt),
    }
}

/// Says what `AUTH` needs, unless what is there is wrong already.
fn missing(read: &mut Reader, mode: Mode, needs: &str) {
    let are_sound = read.is_sound(&table::AUTH_HTTP_URL)
        && read.is_sound(&table::AUTH_JWKS_URL)
        && read.is_sound(&table::AUTH_JWT_SECRET)
        && read.is_sound(&table::AUTH_JWT_SECRET_FILE)
        && read.is_sound(&table::AUTH_JWT_PUBLIC_KEY_FILE);
    if are_sound {
        read.fault(&table::AUTH, &mode, format!("with AUTH={}, {needs}", mode.name()));
    }
}

fn jwt(
    read: &mut Reader,
    sources: Sources,
    clock_skew: Duration,
    require_expiry: bool,
) -> Option<JwtSettings> {
    let Sources { secret, public_key, key_set, algorithm, audience, issuer, .. } = sources;
    let keys = match (secret, public_key, key_set) {
        (Some(secret), None, None) => JwtKeys::Secret(secret),
        (None, Some(file), None) => JwtKeys::PublicKey(file),
        (None, None, Some(url)) => JwtKeys::Set(url),
        _ => {
            let needs = "one of AUTH_JWT_SECRET (or AUTH_JWT_SECRET_FILE), AUTH_JWT_PUBLIC_KEY_FILE and AUTH_JWKS_URL must be \
                 set, and not several";
            missing(read, Mode::Jwt, needs);
            return None;
        }
    };
    let is_shared = matches!(keys, JwtKeys::Secret(_));
    let usual = if is_shared { Algorithm::Hs256 } else { Algorithm::Rs256 };
    let algorithm = match algorithm {
        // A public key taken for a secret would let everyone sign (RFC 8725 section 2.1).
        Some(algorithm) if algorithm.is_symmetric() != is_shared => {
            let allowed = if is_shared {
                "HS256, HS384 or HS512, as AUTH_JWT_SECRET is set"
            } else {
                "one of those with a public key, as AUTH_JWT_PUBLIC_KEY_FILE or AUTH_JWKS_URL is set"
            };
            read.fault(&table::AUTH_JWT_ALGORITHM, &algorithm, allowed.to_owned());
            algorithm
        }
        Some(algorithm) => algorithm,
        None => read.settle(&table::AUTH_JWT_ALGORITHM, usual),
    };
    if let JwtKeys::Secret(secret) = &keys {
        check_secret(read, secret, algorithm);
    }
    Some(JwtSettings { keys, algorithm, audience, issuer, clock_skew, require_expiry })
}

/// A secret is at least as long as what its hash function makes (RFC 7518 section 3.2).
fn check_secret(read: &mut Reader, secret: &Secret, algorithm: Algorithm) {
    let least = match algorithm {
        Algorithm::Hs384 => 48,
        Algorithm::Hs512 => 64,
        _ => 32,
    };
    if secret.reveal().len() < least {
        let allowed = format!(
            "at least {least} bytes for {} (RFC 7518 section 3.2), such as openssl rand -base64 48 makes",
            algorithm.name()
        );
        read.fault(&table::AUTH_JWT_SECRET, secret, allowed);
    }
}

/// A URL that this program asks.
fn url(read: &mut Reader, setting: &Setting<ServiceUrl>) -> Option<PageUrl> {
    let url = read.optional(setting)?;
    if url.origin().starts_with("https:") && !cfg!(feature = "tls") {
        let allowed = "one that begins with http://, as this program was built without the feature tls";
        read.fault(setting, &url, allowed.to_owned());
    }
    Some(url)
}
