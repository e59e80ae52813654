//! Dependencies point one way, as `lib.rs` says: read from the sources themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a part of the program may use of the program, itself always. Parts not listed may use anything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("dial", &[]),
    ("crypto", &["domain"]),
    ("store", &["domain", "crypto"]),
    ("fast", &["domain", "config", "telemetry"]),
    ("casework", &["domain", "crypto", "store", "telemetry"]),
    ("outbound", &["domain", "crypto", "store", "config", "telemetry", "dial"]),
    ("verify", &["domain", "crypto", "fast", "config", "telemetry", "dial"]),
    ("intake", &["domain", "crypto", "store", "fast", "casework", "telemetry"]),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
    ("citizen", &["domain", "crypto", "store", "fast", "intake", "verify", "http", "config"]),
    (
        "http",
        &[
            "domain",
            "crypto",
            "store",
            "intake",
            "casework",
            "outbound",
            "carrier_api",
            "citizen",
            "verify",
            "config",
            "telemetry",
        ],
    ),
    ("carrier_api", &["domain", "crypto", "store", "fast", "intake", "verify", "http"]),
];

/// Where a foreign library may be named.
struct MayName {
    library: &'static str,
    parts: &'static [&'static str],
    /// Single files beside the parts, each with the reason.
    exceptions: &'static [(&'static str, &'static str)],
}

const MAY_NAME: &[MayName] = &[
    MayName {
        library: "diesel",
        parts: &["store"],
        exceptions: &[
            ("casework/builder.rs", "a slice is one transaction, begun here"),
            ("intake/journal_writer.rs", "a batch is one transaction, begun here"),
            ("enrol.rs", "its error is part of an error of ours"),
            ("outbound/ask.rs", "its error is part of an error of ours"),
            ("outbound/publish.rs", "its error is part of an error of ours"),
            ("startup.rs", "its error is part of an error of ours"),
        ],
    },
    MayName {
        library: "redis",
        parts: &["fast"],
        exceptions: &[
            ("startup.rs", "chooses the engine by the scheme of the URL"),
            ("config/mod.rs", "its tests hide the password of a URL"),
            ("config/fast_url.rs", "reads the scheme of a URL"),
        ],
    },
    MayName {
        library: "actix_web",
        parts: &["http", "carrier_api", "citizen"],
        exceptions: &[
            ("startup.rs", "starts and stops the listeners"),
            ("cli/serve.rs", "runs the listeners' runtime"),
        ],
    },
];

struct Source {
    /// Below `src`, such as `store/cases.rs`.
    path: String,
    /// Without comments.
    code: String,
}

impl Source {
    /// The part of the program it belongs to: its folder, or its name.
    fn part(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut directories = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(&path).unwrap();
                let code: Vec<&str> = text.lines().map(without_comment).collect();
                sources.push(Source { path: name, code: code.join("\n") });
            }
        }
    }
    sources
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split(" // ").next().unwrap_or_default()
}

/// The identifier that `text` begins with.
fn first_word(text: &str) -> &str {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(text.len());
    &text[..end]
}

/// The parts of the program that come right after `crate::`.
fn parts_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (place, mark) in code.match_indices("crate::") {
        let rest = &code[place + mark.len()..];
        match rest.strip_prefix('{') {
            None => {
                used.insert(first_word(rest).to_owned());
            }
            Some(group) => {
                let mut depth = 0;
                let mut at_start = true;
                for (index, character) in group.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_start = true,
                        _ if character.is_whitespace() => {}
                        _ if at_start => {
                            used.insert(first_word(&group[index..]).to_owned());
                            at_start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    used
}

/// Whether the code has `word` as a word of its own.
fn names(code: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(place, _)| {
        !is_part(code[..place].chars().next_back()) && !is_part(code[place + word.len()..].chars().next())
    })
}

#[test]
fn each_part_uses_only_parts_below_it() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (part, allowed) in MAY_USE {
        let files: Vec<&Source> = sources.iter().filter(|source| source.part() == *part).collect();
        assert!(!files.is_empty(), "there is no `{part}`");
        for file in files {
            for used in parts_used(&file.code) {
                if used != *part && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{} uses {used}", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_main_uses_the_command_line() {
    let uses_cli = |source: &&Source| source.part() != "cli" && parts_used(&source.code).contains("cli");
    let wrong: Vec<String> = sources().iter().filter(uses_cli).map(|source| source.path.clone()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn foreign_libraries_are_named_only_where_they_belong() {
    let sources = sources();
    let mut wrong = Vec::new();
    for MayName { library, parts, exceptions } in MAY_NAME {
        for source in &sources {
            let allowed = parts.contains(&source.part()) || exceptions.iter().any(|(path, _)| *path == source.path);
            if names(&source.code, library) && !allowed {
                wrong.push(format!("{} names {library}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_exception_is_left_over() {
    let sources = sources();
    for MayName { library, exceptions, .. } in MAY_NAME {
        for (path, reason) in *exceptions {
            let source = sources.iter().find(|source| source.path == *path);
            let still_there = source.is_some_and(|source| names(&source.code, library));
            assert!(still_there, "{path} names {library} no more (\"{reason}\"): take it off the list");
        }
    }
}

#[test]
fn the_reading_of_sources_finds_what_it_should() {
    let code =
        "use crate::domain::{a, b};\nuse crate::{fast::{x, y}, store, http::app::App};\nlet x = crate::cli::run();";
    let used: Vec<String> = parts_used(code).into_iter().collect();
    assert_eq!(used, ["cli", "domain", "fast", "http", "store"]);
    assert!(names("use redis::Client;", "redis") && !names("predis my_redis redis_x", "redis"));
    assert_eq!(without_comment("    // use crate::http"), "");
}
