//! Which system calls of a branch's Postgres fail: the plan that the interposer of a test build goes by.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use offshoot_pages::fault::Call;
use offshoot_pages::point::Point;
use offshoot_pages::process::{ProcessId, start_time};

/// What a call works on; the numbers are the interposer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The pages of a relation file in a layer.
    Data,
    /// A page map.
    PageMap,
    /// A folder of a layer.
    LayerFolder,
    /// A file of the WAL.
    Wal,
    /// `pg_control`.
    ControlFile,
    /// Any other file of the data directory.
    Other,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// With this `errno`.
    Error(i32),
    /// A write is done in part.
    Short,
}

/// The plan of one branch.
pub struct Plan(fs::File);

impl Plan {
    /// Lets the interposer of a branch that sleeps go by a plan from the next wake on. Nothing fails yet.
    pub fn of(store: &Path, branch: u64) -> Self {
        let path = store.join("branches").join(branch.to_string()).join("faults");
        let file =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.set_len(72).unwrap();
        // Postgres may run as another user.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        Self(file)
    }

    fn set(&self, word: u64, value: u64) {
        self.0.write_all_at(&value.to_ne_bytes(), word * 8).unwrap();
    }

    /// Lets the `nth` such call from now on fail, 1 being the next one; if `lasting`, all that follow too.
    pub fn arm(&self, call: Call, target: Target, fault: Fault, nth: u64, lasting: bool) {
        let errno = if let Fault::Error(errno) = fault { errno as u64 } else { 0 };
        for (word, value) in [(5, 0), (4, u64::from(lasting)), (3, errno), (2, nth), (1, 1 << target as u64)]
        {
            self.set(word, value);
        }
        self.set(0, 1 << call as u64);
    }

    /// Lets the process end itself that is the `nth` to pass `point` from now on, 1 being the next one.
    pub fn die_at(&self, point: Point, nth: u64) {
        self.set(7, nth);
        self.set(6, point as u64 + 1);
    }

    /// Lets no further process end itself.
    pub fn spare(&self) {
        self.set(7, 0);
    }

    /// Whether a process has ended itself since [`Plan::die_at`].
    pub fn died(&self) -> bool {
        self.word(6) == 0
    }

    /// Whether the parent of the process that ended itself has heard of it: a Postgres that has not still lets sessions
    /// in that it is about to end.
    pub fn is_heard_of(&self) -> bool {
        let ended = ProcessId::unpacked(self.word(8));
        start_time(ended.pid) != Some(ended.started)
    }

    /// Lets nothing fail any more. Returns how many calls have failed since [`Plan::arm`].
    pub fn disarm(&self) -> u64 {
        self.set(0, 0);
        self.failed()
    }

    /// How many calls have failed since [`Plan::arm`].
    pub fn failed(&self) -> u64 {
        self.word(5)
    }

    fn word(&self, index: u64) -> u64 {
        let mut word = [0u8; 8];
        self.0.read_exact_at(&mut word, index * 8).unwrap();
        u64::from_ne_bytes(word)
    }
}
