//! Version numbers as the programs print them.

use std::fmt;
use std::path::Path;
use std::process::Command;

use super::InstallError;

/// A Postgres version, `18.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The feature release.
    pub major: u32,
    /// The bug fix release; 0 for a beta.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    /// Reads the output of `<program> --version`: `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    pub fn parse(output: &str) -> Option<Self> {
        let number = output.split_once(") ")?.1.split_whitespace().next()?;
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        let major = digits(number);
        let rest = &number[major.len()..];
        let minor = rest.strip_prefix('.').map_or(Some(0), |text| digits(text).parse().ok())?;
        Some(Self { major: major.parse().ok()?, minor })
    }
}

/// Asks `program` for its version.
pub(crate) fn of_program(program: &Path) -> Result<Version, InstallError> {
    let broken = |message: String| InstallError::Broken { program: program.to_owned(), message };
    let output = Command::new(program).arg("--version").env("LC_ALL", "C").output();
    let output = output.map_err(|error| broken(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    Version::parse(&said).filter(|_| output.status.success()).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        broken(format!("{} {}", said.trim(), complaint.trim()).trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        let read = |text: &str| Version::parse(text).map(|version| version.to_string());
        assert_eq!(read("postgres (PostgreSQL) 18.4").as_deref(), Some("18.4"));
        assert_eq!(read("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)").as_deref(), Some("15.18"));
        assert_eq!(read("postgres (PostgreSQL) 19devel").as_deref(), Some("19.0"));
        assert_eq!(read("postgres (PostgreSQL) 18beta1").as_deref(), Some("18.0"));
        assert_eq!(read("postgres: command not found"), None);
    }
}
