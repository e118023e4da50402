//! Every dependency's licence is one that an Apache-2.0 OR MIT program can be shipped with.

use std::process::Command;

/// What may be linked, as SPDX identifiers.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_dependency_has_a_licence_on_the_list() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &host()])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .expect("cargo metadata starts");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("metadata is JSON");

    let built: Vec<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"].as_array().unwrap();
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| built.contains(&package["id"].as_str().unwrap()))
        .filter(|package| package["license"].as_str().is_none_or(|licence| permits(licence) != Ok(true)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(built.len() > 50, "only {} packages were looked at", built.len());
    assert!(refused.is_empty(), "not on the list of licences:\n{}", refused.join("\n"));
}

#[test]
fn an_expression_is_judged_by_its_operators() {
    for good in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "GPL-3.0-only OR MIT",
        "(MIT OR GPL-2.0-or-later) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        "ISC AND (Apache-2.0 OR ISC) AND (GPL-2.0-only OR (MIT AND Zlib))",
    ] {
        assert_eq!(permits(good), Ok(true), "{good}");
    }
    for bad in [
        "GPL-3.0-only",
        "AGPL-3.0-or-later",
        "MIT AND GPL-3.0-only",
        "GPL-2.0-only OR LGPL-2.1-only",
        "(MIT OR Apache-2.0) AND MPL-2.0",
        // AND binds tighter than OR.
        "GPL-2.0-only AND MIT OR SSPL-1.0",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT WITH LLVM-exception",
        "LicenseRef-ours",
    ] {
        assert_eq!(permits(bad), Ok(false), "{bad}");
    }
    for unreadable in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "AND", "Apache-2.0 WITH"] {
        assert!(permits(unreadable).is_err(), "{unreadable:?}");
    }
}

/// Whether an SPDX expression can be met from [`ALLOWED`] alone.
fn permits(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = Words { words: spaced.split_whitespace().collect(), next: 0 };
    let verdict = words.any_of()?;
    match words.peek() {
        None => Ok(verdict),
        Some(word) => Err(format!("unexpected {word} in {expression}")),
    }
}

/// A recursive-descent reader: `any_of` → `all_of` → `one`, in order of binding.
struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.peek();
        self.next += 1;
        word
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        self.next += usize::from(there);
        there
    }

    fn any_of(&mut self) -> Result<bool, String> {
        let mut verdict = self.all_of()?;
        while self.takes("OR") {
            verdict |= self.all_of()?;
        }
        Ok(verdict)
    }

    fn all_of(&mut self) -> Result<bool, String> {
        let mut verdict = self.one()?;
        while self.takes("AND") {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Result<bool, String> {
        match self.take() {
            Some("(") => {
                let verdict = self.any_of()?;
                if self.takes(")") { Ok(verdict) } else { Err("a parenthesis stays open".to_owned()) }
            }
            None | Some(")" | "AND" | "OR" | "WITH") => Err("a licence is missing".to_owned()),
            Some(licence) if self.takes("WITH") => {
                let exception = self.take().ok_or("an exception is missing")?;
                Ok(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()))
            }
            Some(licence) => Ok(ALLOWED.contains(&licence)),
        }
    }
}

fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("-vV").output().expect("rustc starts");
    let version = String::from_utf8(version.stdout).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}
