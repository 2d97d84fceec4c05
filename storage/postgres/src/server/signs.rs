//! Signs of life of a server, seen from outside and without a connection.

use std::io;

use super::Server;
use super::process::Facts;

/// What a server's processes were doing at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// Whether it has a process that only a server that takes connections has: the writer of its WAL.
    pub is_open: bool,
    /// Whether a process replays WAL.
    pub recovers: bool,
    /// Whether one of its own processes runs, or any waits for a disk.
    pub is_busy: bool,
    /// Clock ticks, of which there are a hundred a second, that its own processes have worked.
    pub ticks: u64,
    /// Its own processes that have not ended: without the postmaster, and without those that serve clients. A server that takes
    /// nobody has one of these for each client that it turns away, and starting them is all that its postmaster does.
    pub children: Vec<u32>,
    /// The process that tells so.
    pub wal_writer: Option<u32>,
}

/// The first words of the titles of processes that serve no client.
const OWN: [&str; 10] = [
    "archiver",
    "autovacuum",
    "background",
    "checkpointer",
    "io",
    "logger",
    "logical",
    "startup",
    "walsummarizer",
    "walwriter",
];

impl Server {
    /// Looks at the server's processes. If the one that told in `last` that it is open is still there, at that one alone.
    ///
    /// # Errors
    /// If this machine does not show which processes a process has started.
    pub fn signs(&self, last: Option<&Signs>) -> io::Result<Signs> {
        if let Some(last) = last
            && let Some(writer) = last.wal_writer
            && Facts::of(writer).is_some_and(|facts| facts.parent == self.pid() && !facts.is_ended())
        {
            return Ok(last.clone());
        }
        let mut signs = Signs::default();
        for pid in children(self.pid())? {
            let Some(facts) = Facts::of(pid).filter(|facts| !facts.is_ended()) else { continue };
            signs.is_busy |= facts.waits_for_disk();
            let Some(role) = role(pid).filter(|role| OWN.contains(&role.as_str())) else { continue };
            signs.children.push(pid);
            signs.is_busy |= facts.is_busy();
            signs.ticks += facts.ticks;
            match role.as_str() {
                "walwriter" => (signs.is_open, signs.wal_writer) = (true, Some(pid)),
                "startup" => signs.recovers = true,
                _ => (),
            }
        }
        signs.children.sort_unstable();
        Ok(signs)
    }
}

fn children(pid: u32) -> io::Result<Vec<u32>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text.split_whitespace().filter_map(|child| child.parse().ok()).collect())
}

/// What kind of process of Postgres `pid` is, by its title: `postgres: main: walwriter`.
fn role(pid: u32) -> Option<String> {
    let title = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    role_in(&String::from_utf8_lossy(&title)).map(str::to_owned)
}

/// The first word behind the name of the cluster, which has no space after it.
fn role_in(title: &str) -> Option<&str> {
    let rest = title.trim_end_matches(['\0', ' ']).strip_prefix("postgres: ")?;
    let rest = rest.split_once(": ").map_or(rest, |(_, rest)| rest);
    rest.split([' ', '\0']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_from_titles() {
        for (title, role) in [
            ("postgres: main: walwriter \0\0", Some("walwriter")),
            ("postgres: walwriter: checkpointer ", Some("checkpointer")),
            ("postgres: walwriter", Some("walwriter")),
            ("postgres: a:b: startup recovering 000000010000000000000001", Some("startup")),
            ("postgres: main: postgres app [local] startup", Some("postgres")),
            ("/usr/bin/postgres\0-D\0/x", None),
        ] {
            assert_eq!(role_in(title), role, "{title}");
        }
    }

    #[test]
    fn the_children_of_a_process_are_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // They are listed by the thread that started them.
        let found = std::fs::read_dir("/proc/self/task").unwrap().flatten().any(|thread| {
            let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            text.split_whitespace().any(|pid| pid == child.id().to_string())
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
    }
}
