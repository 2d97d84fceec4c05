//! Names of branches: what git takes for a branch, with a reason for what it does not.

use crate::failure::{Failure, Result};

/// Longest name in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// Checks `name` by the rules of `git check-ref-format --branch`, and its length.
///
/// # Errors
/// A user error that names the rule.
pub(crate) fn check(name: &str) -> Result<()> {
    match fault(name) {
        None => Ok(()),
        Some(why) => Err(Failure::user(format!("`{}` is not a branch name: {why}", shown(name)))
            .hint("Any name that git takes for a branch is fine.")),
    }
}

/// A name as a shell takes it.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%,:=".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

fn fault(name: &str) -> Option<String> {
    const REFUSED: &str = " ~^:?*[\\";
    let fixed = |why: &str| Some(why.to_owned());
    if name.is_empty() {
        return fixed("it is empty");
    }
    if name.len() > MAX_NAME_BYTES {
        return Some(format!("it is {} bytes long, and {MAX_NAME_BYTES} is the most", name.len()));
    }
    if let Some(bad) = name.chars().find(|&c| c.is_ascii_control() || REFUSED.contains(c)) {
        return Some(match bad {
            ' ' => "it contains a space".to_owned(),
            control if control.is_ascii_control() => "it contains a control character".to_owned(),
            other => format!("it contains `{other}`"),
        });
    }
    match () {
        () if name == "@" || name == "HEAD" => fixed("git keeps this name for itself"),
        () if name.starts_with('-') => fixed("it starts with `-`"),
        () if name.contains("..") => fixed("it contains `..`"),
        () if name.contains("@{") => fixed("it contains `@{`"),
        () if name.starts_with('/') || name.ends_with('/') || name.contains("//") => {
            fixed("a part between slashes is empty")
        }
        () if name.ends_with('.') => fixed("it ends with a dot"),
        () if name.split('/').any(|part| part.starts_with('.')) => fixed("a part starts with a dot"),
        () if name.split('/').any(|part| part.as_bytes().ends_with(b".lock")) => {
            fixed("a part ends with `.lock`")
        }
        () => None,
    }
}

/// The name as an error may show it: short, on one line.
fn shown(name: &str) -> String {
    let clean: String = name.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().count() > 60 { format!("{clean}…") } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_that_git_takes_is_taken() {
        for name in [
            "main",
            "feature/größe",
            "🌱",
            "a.b",
            "x@y",
            "fix-#12",
            "日本語/ブランチ",
            "@x",
            "a'b\"c;--",
            "{x}",
        ] {
            assert_eq!(fault(name), None, "{name}");
        }
        assert_eq!(fault(&"x".repeat(255)), None);
    }

    #[test]
    fn names_that_git_refuses_are_refused() {
        for name in [
            "",
            "../../etc",
            "a..b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "-a",
            "@",
            "HEAD",
            "a@{b",
            "a b",
            "a~b",
            "a^b",
            "a:b",
            "a?b",
            "a*b",
            "a[b",
            "a\\b",
            "a\nb",
            "a\u{7f}",
        ] {
            assert!(fault(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_with_its_length_and_not_repeated() {
        let error = check(&"é".repeat(300)).unwrap_err();
        assert!(error.0.message.contains("600 bytes") && error.0.message.len() < 300, "{error}");
    }

    /// The rules agree with the git of this machine.
    #[test]
    fn git_agrees() {
        for name in
            ["main", "a..b", "a.lock", "🌱", "-a", "a/.b", "a@{b", "@x", "a.", "x/y/z", "HEAD", "a\\b", "{x}"]
        {
            let git = std::process::Command::new("git")
                .args(["check-ref-format", "--branch", name])
                .output()
                .unwrap();
            assert_eq!(fault(name).is_none(), git.status.success(), "{name}");
        }
    }
}
