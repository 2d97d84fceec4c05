//! Files as they were committed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::{fs, io};

use crate::config::Config;
use crate::discover::Repository;
use crate::error::GitError;
use crate::head::{Reference, read};
use crate::name::{full, is_object_id, is_valid_part};
use crate::run::git_at;

impl Repository {
    /// The full id of the newest commit of `branch`, a short name; none if there is no such branch.
    pub fn tip(&self, branch: &str) -> Result<Option<String>, GitError> {
        let name = full(branch);
        let is_plain = name.split(|b| *b == b'/').all(is_valid_part);
        if is_plain && Config::of_repository(&self.common_dir)?.has_ref_files() {
            match read(&self.common_dir.join(OsStr::from_bytes(&name))) {
                Ok(Reference::Object(id)) => return Ok(Some(id)),
                Ok(_) => (),
                Err(_) => return self.packed_tip(&name),
            }
        }
        let args =
            [OsStr::new("rev-parse"), OsStr::new("-q"), OsStr::new("--verify"), OsStr::from_bytes(&name)];
        let answer = git_at(&self.common_dir, &args)?;
        let line = String::from_utf8_lossy(answer.line()).into_owned();
        Ok(Some(line).filter(|_| answer.is_success()))
    }

    fn packed_tip(&self, name: &[u8]) -> Result<Option<String>, GitError> {
        let path = self.common_dir.join("packed-refs");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(GitError::io("read", &path)(error)),
        };
        let found = bytes.split(|b| *b == b'\n').find_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let space = line.iter().position(|b| *b == b' ')?;
            let (id, of) = (&line[..space], &line[space + 1..]);
            (of == name && is_object_id(id)).then(|| String::from_utf8_lossy(id).into_owned())
        });
        Ok(found)
    }

    /// What the file at `path`, from the top of the work tree, holds in `commit`; none if it has no such file, or one of more than
    /// `most_bytes`. Two runs of git.
    pub fn file_at(&self, commit: &str, path: &str, most_bytes: u64) -> Result<Option<Vec<u8>>, GitError> {
        let object: OsString = format!("{commit}:{path}").into();
        let of = |verb: &str, what: &str| {
            git_at(&self.common_dir, &[OsStr::new(verb), OsStr::new(what), object.as_os_str()])
        };
        let size = of("cat-file", "-s")?;
        let size = std::str::from_utf8(size.line()).ok().and_then(|text| text.parse::<u64>().ok());
        if size.is_none_or(|size| size > most_bytes) {
            return Ok(None);
        }
        let answer = of("cat-file", "blob")?;
        Ok(answer.is_success().then_some(answer.stdout))
    }
}
