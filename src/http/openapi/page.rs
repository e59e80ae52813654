//! The document as a page: made once, of the same document, without scripts.

use std::fmt::Write as _;

use serde_json::Value;

pub(super) fn render(document: &Value) -> String {
    let mut page = Page { document, html: String::new() };
    page.head();
    let operations = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    for (path, methods) in operations {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            page.operation(path, method, operation);
        }
    }
    page.schemas();
    page.html.push_str("</main></body></html>\n");
    page.html
}

struct Page<'a> {
    document: &'a Value,
    html: String,
}

/// Text that stands for itself in HTML, also in attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Text with `code` in backticks.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escaped(part);
        html.push_str(&if index % 2 == 1 { format!("<code>{part}</code>") } else { part });
    }
    html
}

impl<'a> Page<'a> {
    fn put(&mut self, html: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.html.write_fmt(html);
    }

    fn head(&mut self) {
        let info = self.document.get("info").cloned().unwrap_or_default();
        let title = escaped(word(&info, "title"));
        self.put(format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body><main><h1>{title}</h1><p>{}</p>\
             <p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>",
            prose(word(&info, "description")),
        ));
        let schemes = self.document.pointer("/components/securitySchemes").and_then(Value::as_object);
        for scheme in schemes.into_iter().flat_map(|schemes| schemes.values()) {
            self.put(format_args!("<p>{}</p>", prose(word(scheme, "description"))));
        }
        self.html.push_str("<nav aria-label=\"Operations\"><ul>");
        let operations = self.document.get("paths").and_then(Value::as_object).into_iter().flatten();
        for (path, methods) in operations {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let (id, summary) = (escaped(word(operation, "operationId")), escaped(word(operation, "summary")));
                let method = method.to_uppercase();
                self.put(format_args!(
                    "<li><a href=\"#{id}\"><code>{method} {}</code></a> {summary}</li>",
                    escaped(path)
                ));
            }
        }
        self.html.push_str("</ul></nav>");
    }

    /// What `value` refers to, or itself.
    fn resolved(&self, value: &'a Value) -> &'a Value {
        let target = word(value, "$ref").strip_prefix('#').and_then(|pointer| self.document.pointer(pointer));
        target.unwrap_or(value)
    }

    fn operation(&mut self, path: &str, method: &str, operation: &'a Value) {
        self.put(format_args!(
            "<section id=\"{id}\"><h2><code>{} {}</code></h2><p>{}. {}</p>",
            method.to_uppercase(),
            escaped(path),
            escaped(word(operation, "summary")),
            prose(word(operation, "description")),
            id = escaped(word(operation, "operationId")),
        ));
        let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let parameters: Vec<&Value> = parameters.map(|parameter| self.resolved(parameter)).collect();
        if !parameters.is_empty() {
            self.html.push_str("<h3>Parameters</h3><table><tr><th>Name</th><th>In</th><th>What</th></tr>");
            for parameter in parameters {
                let (name, place) = (escaped(word(parameter, "name")), escaped(word(parameter, "in")));
                let what = prose(word(parameter, "description"));
                self.put(format_args!("<tr><td><code>{name}</code></td><td>{place}</td><td>{what}</td></tr>"));
            }
            self.html.push_str("</table>");
        }
        if let Some(body) = operation.get("requestBody") {
            self.html.push_str("<h3>Body</h3>");
            self.content(body);
        }
        self.html.push_str("<h3>Answers</h3>");
        for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
            self.put(format_args!("<h4>{} {}</h4>", escaped(status), prose(word(response, "description"))));
            let headers: Vec<String> = response
                .get("headers")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|headers| headers.keys())
                .map(|name| format!("<code>{}</code>", escaped(name)))
                .collect();
            if !headers.is_empty() {
                self.put(format_args!("<p>Headers: {}</p>", headers.join(", ")));
            }
            self.content(response);
        }
        self.html.push_str("</section>");
    }

    fn content(&mut self, holder: &'a Value) {
        for (media_type, content) in holder.get("content").and_then(Value::as_object).into_iter().flatten() {
            self.put(format_args!("<p><code>{}</code></p>", escaped(media_type)));
            let schema = content.get("schema").unwrap_or(&Value::Null);
            let codes = schema.pointer("/allOf/1/properties/code/enum").and_then(Value::as_array);
            if let Some(codes) = codes {
                let codes: Vec<String> = codes
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|code| format!("<code>{}</code>", escaped(code)))
                    .collect();
                self.put(format_args!("<p>{}</p>", codes.join(" ")));
                continue;
            }
            self.schema(schema);
            match content.get("example") {
                Some(Value::String(text)) => self.put(format_args!("<pre>{}</pre>", escaped(text))),
                Some(example) => {
                    let text = serde_json::to_string_pretty(example).unwrap_or_default();
                    self.put(format_args!("<pre>{}</pre>", escaped(&text)));
                }
                None => {}
            }
        }
    }

    /// A table of an object's members; of an array's or a page's items too.
    fn schema(&mut self, schema: &'a Value) {
        let schema = self.resolved(schema);
        if let Some(first) = schema.pointer("/allOf/0") {
            return self.schema(first);
        }
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        self.html.push_str("<table><tr><th>Member</th><th>Type</th><th>What</th></tr>");
        for (name, member) in properties {
            let member = self.resolved(member);
            let need = if required.contains(&name.as_str()) { "" } else { " (may be missing)" };
            self.put(format_args!(
                "<tr><td><code>{}</code>{need}</td><td>{}</td><td>{}</td></tr>",
                escaped(name),
                escaped(&type_of(member)),
                prose(word(member, "description")),
            ));
        }
        self.html.push_str("</table>");
        if let Some(items) = properties.get("items").and_then(|list| list.get("items")) {
            self.html.push_str("<p>Each of the items:</p>");
            self.schema(items);
        }
    }

    fn schemas(&mut self) {
        let problem = self.document.pointer("/components/schemas/Problem").unwrap_or(&Value::Null);
        self.html.push_str(
            "<section id=\"problems\"><h2>Problems</h2><p>Every error is <code>application/problem+json</code>:</p>",
        );
        self.schema(problem);
        self.html.push_str("</section>");
    }
}

fn type_of(schema: &Value) -> String {
    let listed = |values: &Vec<Value>| {
        let values: Vec<String> =
            values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
        values.join(" | ")
    };
    match (schema.get("enum"), schema.get("const"), schema.get("type")) {
        (Some(Value::Array(values)), _, _) => listed(values),
        (_, Some(value), _) => value.to_string(),
        (_, _, Some(Value::Array(types))) => listed(types),
        (_, _, Some(Value::String(name))) => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("{name} ({format})"),
            None => name.clone(),
        },
        _ => String::new(),
    }
}
