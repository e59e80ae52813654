//! What stands under a signature (RFC 9421, section 2): the components it covers, each with its value in this request.

use actix_web::http::header::{self, HeaderMap};

use super::fields::{Item, Parameters, write_list};

/// A request as its signer saw it.
pub struct Message<'a> {
    /// The method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host in small letters, and the port unless it is the scheme's own.
    pub authority: &'a str,
    /// The path as it was sent.
    pub path: &'a str,
    /// The query as it was sent, without its `?`; none when there is none.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

impl Message<'_> {
    /// Whether its head announces a body.
    #[must_use]
    pub fn has_body(&self) -> bool {
        let length = self.headers.get(header::CONTENT_LENGTH).map(|length| length.as_bytes().trim_ascii());
        length.is_some_and(|length| length != b"0") || self.headers.contains_key(header::TRANSFER_ENCODING)
    }

    /// The value of a component; none when the request has none or it is no component of requests.
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        let path = if self.path.is_empty() { "/" } else { self.path };
        let query = self.query.map(|query| format!("?{query}"));
        let target = |query: Option<String>| format!("{path}{}", query.unwrap_or_default());
        let text = match name {
            "@method" => self.method.to_owned(),
            "@scheme" => self.scheme.to_owned(),
            "@authority" => self.authority.to_owned(),
            "@path" => path.to_owned(),
            "@query" => query.unwrap_or_else(|| "?".to_owned()),
            "@request-target" => target(query),
            "@target-uri" => format!("{}://{}{}", self.scheme, self.authority, target(query)),
            name if name.starts_with('@') => return None,
            name => return self.field(name),
        };
        Some(text.into_bytes())
    }

    /// All lines of a field as one, each without the space around it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Vec<u8>> {
        let mut lines = self.headers.get_all(name).map(|value| value.as_bytes().trim_ascii());
        let mut joined = lines.next()?.to_vec();
        for line in lines {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(line);
        }
        Some(joined)
    }
}

/// The bytes that are signed; none when a component is missing in the request, comes twice, or is none that is understood:
/// strings without parameters.
#[must_use]
pub fn signature_base(
    message: &Message<'_>,
    components: &[(Item, Parameters)],
    parameters: &Parameters,
) -> Option<Vec<u8>> {
    let mut base = Vec::with_capacity(512);
    let mut names: Vec<&str> = Vec::with_capacity(components.len());
    for component in components {
        let (Item::Text(name), []) = (&component.0, component.1.as_slice()) else { return None };
        if names.contains(&name.as_str()) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        names.push(name);
        base.extend_from_slice(format!("\"{name}\": ").as_bytes());
        base.extend(message.value(name)?);
        base.push(b'\n');
    }
    base.extend_from_slice(b"\"@signature-params\": ");
    base.extend_from_slice(write_list(components, parameters).as_bytes());
    Some(base)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
pub(super) mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::super::fields::{Member, parse_dictionary};
    use super::*;

    /// Header fields of the request in RFC 9421, appendix B.2.
    pub fn fields_of_the_rfc() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "example.com"),
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("content-type", "application/json"),
            (
                "content-digest",
                "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
            ),
            ("content-length", "18"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    /// That request.
    pub fn request_of_the_rfc(headers: &HeaderMap) -> Message<'_> {
        let (scheme, authority) = ("https", "example.com");
        Message { method: "POST", scheme, authority, path: "/foo", query: Some("param=Value&Pet=dog"), headers }
    }

    fn base_of(input: &str) -> Option<String> {
        let headers = fields_of_the_rfc();
        let Some((_, Member::List { items, parameters })) = parse_dictionary(input.as_bytes()).unwrap().pop() else {
            panic!("no list: {input}");
        };
        let base = signature_base(&request_of_the_rfc(&headers), &items, &parameters)?;
        Some(String::from_utf8(base).unwrap())
    }

    #[test]
    fn the_base_is_that_of_rfc_9421_b_2_5_and_b_2_6() {
        let hmac = r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
        assert_eq!(
            base_of(hmac).unwrap(),
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\"content-type\": application/json\n\
             \"@signature-params\": (\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\""
        );
        let ed25519 = r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        assert_eq!(
            base_of(ed25519).unwrap(),
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\"@authority\": example.com\n\
             \"content-type\": application/json\n\"content-length\": 18\n\"@signature-params\": (\"date\" \"@method\" \
             \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\""
        );
    }

    #[test]
    fn derived_components_have_the_values_of_rfc_9421_section_2_2() {
        let value = |name: &str| {
            let headers = fields_of_the_rfc();
            request_of_the_rfc(&headers).value(name).map(|value| String::from_utf8(value).unwrap())
        };
        assert_eq!(value("@target-uri").as_deref(), Some("https://example.com/foo?param=Value&Pet=dog"));
        assert_eq!(value("@request-target").as_deref(), Some("/foo?param=Value&Pet=dog"));
        assert_eq!(value("@query").as_deref(), Some("?param=Value&Pet=dog"));
        assert_eq!(value("@scheme").as_deref(), Some("https"));
        assert_eq!((value("@status"), value("@query-param"), value("x-missing")), (None, None, None));
        let headers = HeaderMap::new();
        let bare = Message { path: "", query: None, ..request_of_the_rfc(&headers) };
        assert_eq!(bare.value("@path").unwrap(), b"/");
        assert_eq!(bare.value("@query").unwrap(), b"?");
        assert_eq!(bare.value("@target-uri").unwrap(), b"https://example.com/");
    }

    #[test]
    fn lines_of_one_field_are_joined() {
        let mut headers = HeaderMap::new();
        for value in [" a", "b , c ", ""] {
            headers.append(HeaderName::from_static("x-list"), HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(request_of_the_rfc(&headers).value("x-list").unwrap(), b"a, b , c, ");
    }

    #[test]
    fn a_component_that_is_missing_comes_twice_or_is_not_understood_has_no_base() {
        for components in
            [r#""x-missing""#, r#""date" "date""#, r#""date";bs"#, r#""@query-param";name="Pet""#, "date", r#""Date""#]
        {
            assert_eq!(base_of(&format!("sig=({components});created=1")), None, "{components}");
        }
    }
}
