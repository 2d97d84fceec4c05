//! Hooks of git that tell the engine at once, beside those that are there.
//!
//! Ours takes the place of a hook and runs it afterwards, with the same arguments, input and exit status. The one that was there is renamed,
//! never written to, so that taking ours away brings back every byte of it, its mode and its times.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use std::ffi::OsStr;

use crate::discover::Worktree;
use crate::error::GitError;
use crate::run::{Environment, git};

/// The hooks that matter: after each of these HEAD or a branch may be another one.
pub const HOOKS: [&str; 4] = ["post-checkout", "post-commit", "post-merge", "post-rewrite"];

/// What is added to the name of a hook that ours runs.
const SAVED: &str = ".before-offshoot";
/// The second line of ours begins so.
const MARK: &str = "# offshoot-hook 1:";
/// A hook that is larger is taken for a program.
const MOST_BYTES: u64 = 1 << 20;

/// What is where a hook of ours could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookState {
    /// Nothing.
    Absent,
    /// A hook of somebody else, without ours.
    Foreign,
    /// Ours. `chained`: it runs the one that was there.
    Installed {
        /// Whether there was one.
        chained: bool,
    },
    /// Ours, for another program than this one.
    Elsewhere,
    /// Ours, changed by somebody.
    Edited,
    /// Another one has taken the place of ours; the one from before ours is still kept.
    Overwritten,
}

/// The folder from which git runs hooks.
#[derive(Debug, Clone)]
pub struct Hooks {
    /// The folder.
    pub folder: PathBuf,
    /// Why no hook may be put there, if none may.
    pub refused: Option<String>,
}

/// Why hooks were not installed or taken away. Everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// They must not be.
    #[error("{what}")]
    Refused {
        /// Why.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file operation failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was being done, to which file.
        what: String,
        /// The system's error.
        source: io::Error,
    },
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> HookError {
    let what = format!("{what} {}", path.display());
    move |source| HookError::Io { what, source }
}

/// Finds where git takes the hooks of a work tree from.
///
/// # Errors
/// Those of running git.
pub fn hooks(worktree: &Worktree) -> Result<Hooks, GitError> {
    let args = ["rev-parse", "--git-path", "hooks"].map(OsStr::new);
    let answer = git(&worktree.path, &Environment::clean(), &args)?;
    let out = answer.into_stdout()?;
    let line = out.strip_suffix(b"\n").unwrap_or(&out);
    let folder = worktree.path.join(OsStr::from_bytes(line));
    // One that is not there yet is made where it is named.
    let real = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
    let refused = if real.starts_with(&worktree.common_dir) {
        None
    } else if real.starts_with(&worktree.path) {
        Some(format!(
            "git takes its hooks from {}, which is in the work tree and another tool's, such as husky",
            real.display()
        ))
    } else {
        Some(format!("git takes its hooks from {}, which other repositories may use too", real.display()))
    };
    Ok(Hooks { folder, refused })
}

/// The folder of hooks in the git directory, if git takes its hooks from elsewhere by now and some of ours are still there.
pub fn hooks_left(worktree: &Worktree, hooks: &Hooks) -> Option<Hooks> {
    let folder = worktree.common_dir.join("hooks");
    let real = |folder: &Path| fs::canonicalize(folder).ok();
    let is_same = real(&hooks.folder).is_some() && real(&hooks.folder) == real(&folder);
    let own = Hooks { folder, refused: None };
    let is_left = |name: &&str| {
        let (path, saved) = own.place(name);
        is_there(&saved) || text(&path).is_some_and(|bytes| is_ours(&bytes))
    };
    (!is_same && HOOKS.iter().any(is_left)).then_some(own)
}

/// The text of our hook.
fn script(name: &str, program: &Path, made_folder: bool) -> Vec<u8> {
    let quoted: Vec<u8> = program
        .as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|byte| match byte {
            b'\'' => br"'\''".to_vec(),
            byte => vec![*byte],
        })
        .collect();
    let mut text = format!(
        "#!/bin/sh\n{MARK} tells Offshoot at once. `offshoot hooks uninstall` brings back what was here.\n"
    )
    .into_bytes();
    text.extend_from_slice(b"program='");
    text.extend_from_slice(&quoted);
    text.extend_from_slice(
        format!(
            "' made_folder={}\n\
         if [ -x \"$program\" ]; then\n\t\"$program\" hooks tell {name} </dev/null >/dev/null 2>&1 &\nfi\n\
         before=\"$0{SAVED}\"\n\
         if [ -f \"$before\" ] && [ -x \"$before\" ]; then\n\texec \"$before\" \"$@\"\nfi\nexit 0\n",
            if made_folder { "yes" } else { "no" }
        )
        .as_bytes(),
    );
    text
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The content of a file that is small enough for a script.
fn text(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MOST_BYTES).then_some(bytes)
}

fn is_ours(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"#!/bin/sh\n").is_some_and(|rest| rest.starts_with(MARK.as_bytes()))
}

/// The program that a hook of ours names, and whether its folder was made for it; none if it is not as it was written.
fn written_for(name: &str, bytes: &[u8]) -> Option<(PathBuf, bool)> {
    let line = bytes.split(|byte| *byte == b'\n').nth(2)?;
    let made = line.ends_with(b" made_folder=yes");
    let line = line.strip_prefix(b"program='")?;
    let end = line.windows(14).rposition(|part| part == b"' made_folder=")?;
    let mut program = Vec::new();
    let mut rest = &line[..end];
    while let Some(byte) = rest.first() {
        if let Some(after) = rest.strip_prefix(br"'\''") {
            program.push(b'\'');
            rest = after;
        } else {
            program.push(*byte);
            rest = &rest[1..];
        }
    }
    let program = PathBuf::from(OsStr::from_bytes(&program));
    (script(name, &program, made) == bytes).then_some((program, made))
}

impl Hooks {
    fn place(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.folder.join(name), self.folder.join(format!("{name}{SAVED}")))
    }

    /// What is where the hook called `name` is or could be.
    pub fn state(&self, name: &str, program: &Path) -> HookState {
        let (path, saved) = self.place(name);
        let chained = is_there(&saved);
        let Some(bytes) = text(&path).filter(|bytes| is_ours(bytes)) else {
            return match (is_there(&path), chained) {
                (_, true) => HookState::Overwritten,
                (true, false) => HookState::Foreign,
                (false, false) => HookState::Absent,
            };
        };
        match written_for(name, &bytes) {
            None => HookState::Edited,
            Some((other, _)) if other != program => HookState::Elsewhere,
            Some(_) => HookState::Installed { chained },
        }
    }

    /// Puts our hooks in their place, each before the one that is there. Those that are in place stay.
    ///
    /// # Errors
    /// [`HookError::Refused`] where hooks are somebody else's, where one cannot be run from ours, or where one was put over ours. Nothing is
    /// changed then.
    pub fn install(&self, program: &Path) -> Result<(), HookError> {
        if let Some(why) = &self.refused {
            return Err(HookError::Refused {
                what: format!("no hook is installed: {why}"),
                hint: "Let those hooks tell Offshoot: `offshoot hooks tell post-checkout` as a line of post-checkout, and likewise in \
                       post-commit, post-merge and post-rewrite. It takes no time and never fails."
                    .into(),
            });
        }
        for name in HOOKS {
            self.check(name)?;
        }
        let made_folder = !self.folder.is_dir();
        if made_folder {
            fs::create_dir(&self.folder).map_err(failed("make the folder", &self.folder))?;
        }
        let mut done = Vec::new();
        for name in HOOKS {
            let before = self.state(name, program);
            if let Err(error) = self.install_one(name, program, made_folder) {
                for (name, before) in done {
                    if !matches!(before, HookState::Installed { .. } | HookState::Elsewhere) {
                        let _ = self.take_away(name);
                    }
                }
                if made_folder {
                    let _ = fs::remove_dir(&self.folder);
                }
                return Err(error);
            }
            done.push((name, before));
        }
        Ok(())
    }

    /// Whether ours may take the place of what is there.
    fn check(&self, name: &str) -> Result<(), HookError> {
        let (path, saved) = self.place(name);
        let refused = |what: String, hint: &str| Err(HookError::Refused { what, hint: hint.into() });
        let bytes = text(&path);
        if bytes.as_deref().is_some_and(is_ours) {
            if bytes.is_some_and(|bytes| written_for(name, &bytes).is_none()) {
                return refused(
                    format!("{} was changed since it was installed", path.display()),
                    "Take out of it what you need and remove it; then install again.",
                );
            }
            return Ok(());
        }
        if !is_there(&path) {
            return Ok(());
        }
        if is_there(&saved) {
            return refused(
                format!("another tool has put a hook over ours: {}", path.display()),
                &format!(
                    "Look whether {} is still needed, move it away, and install again.",
                    saved.display()
                ),
            );
        }
        let Some(bytes) = bytes.filter(|bytes| !bytes.contains(&0)) else {
            return refused(
                format!(
                    "{} is no script, so that it cannot be told whether it runs under another name",
                    path.display()
                ),
                "Call it from a script of that name.",
            );
        };
        let asks = ["basename", "${0##", "argv[0]", "__file__", "$PROGRAM_NAME", "__filename"];
        let text = String::from_utf8_lossy(&bytes);
        if asks.iter().any(|ask| text.contains(ask)) {
            return refused(
                format!("{} looks at its own name, and would have another one behind ours", path.display()),
                &format!(
                    "Put `offshoot hooks tell {name}` into it as a line instead; it takes no time and never fails."
                ),
            );
        }
        Ok(())
    }

    fn install_one(&self, name: &str, program: &Path, made_folder: bool) -> Result<(), HookError> {
        let (path, saved) = self.place(name);
        let present = text(&path).filter(|bytes| is_ours(bytes));
        let made =
            present.as_ref().and_then(|bytes| written_for(name, bytes)).map_or(made_folder, |(_, made)| made);
        let wanted = script(name, program, made);
        if present.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let draft = self.folder.join(format!("{name}.offshoot-{}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&draft)?;
            file.write_all(&wanted)?;
            // Whatever the umask is.
            fs::set_permissions(&draft, Permissions::from_mode(0o755))?;
            file.sync_all()
        })();
        let placed = written.and_then(|()| {
            let moves = present.is_none() && is_there(&path);
            if moves {
                fs::rename(&path, &saved)?;
            }
            fs::rename(&draft, &path).inspect_err(|_| {
                if moves {
                    let _ = fs::rename(&saved, &path);
                }
            })
        });
        if placed.is_err() {
            let _ = fs::remove_file(&draft);
        }
        placed.map_err(failed("install", &path))
    }

    /// Takes our hooks away; what was there before is back, byte for byte. Returns those where somebody has put another one over ours, or
    /// has changed ours: they stay, and so does what is kept for them.
    ///
    /// # Errors
    /// [`HookError::Io`].
    pub fn uninstall(&self) -> Result<Vec<PathBuf>, HookError> {
        let mut left = Vec::new();
        let mut made_folder = false;
        for name in HOOKS {
            let (path, saved) = self.place(name);
            match text(&path).filter(|bytes| is_ours(bytes)) {
                Some(bytes) => match written_for(name, &bytes) {
                    Some((_, made)) => {
                        made_folder |= made;
                        self.take_away(name)?;
                    }
                    None => left.push(path),
                },
                None if is_there(&saved) && !is_there(&path) => self.take_away(name)?,
                None if is_there(&saved) => left.push(path),
                None => {}
            }
        }
        if made_folder && left.is_empty() {
            // Others may have put hooks into it since.
            let _ = fs::remove_dir(&self.folder);
        }
        Ok(left)
    }

    fn take_away(&self, name: &str) -> Result<(), HookError> {
        let (path, saved) = self.place(name);
        if is_there(&saved) {
            return fs::rename(&saved, &path).map_err(failed("bring back", &path));
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}
