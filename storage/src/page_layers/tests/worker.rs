//! A process that works on relation files under the interposer, as a backend does, and is told what to do.
//!
//! It is this test program once more. Its work begins before `main`: only the main thread may touch relation files.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use offshoot_pages::PAGE_SIZE;

const MARK: &str = "OFFSHOOT_TEST_WORKER";
const PAGE: usize = PAGE_SIZE as usize;

/// The process as the test sees it. It is killed when this is dropped.
pub(super) struct Worker {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Worker {
    pub(super) fn start(data: &Path, layers: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(MARK, "1")
            .env("LD_PRELOAD", super::interposer())
            .env("OFFSHOOT_DATA_DIR", data)
            .env("OFFSHOOT_LAYERS_DIR", layers)
            .current_dir(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    fn ask(&mut self, request: &str) -> String {
        self.to.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        let answer = answer.trim().to_owned();
        assert!(!answer.is_empty() && !answer.starts_with("failed"), "{request}: {answer}");
        answer
    }

    pub(super) fn create(&mut self, file: u64) {
        self.ask(&format!("create {file} 0 0"));
    }

    pub(super) fn write(&mut self, file: u64, page: u64, stamp: u64) {
        self.ask(&format!("write {file} {page} {stamp}"));
    }

    pub(super) fn read(&mut self, file: u64, page: u64) -> u64 {
        self.ask(&format!("read {file} {page} 0")).parse().unwrap()
    }

    /// In pages; `None` when there is no such file.
    pub(super) fn length(&mut self, file: u64) -> Option<u64> {
        self.ask(&format!("length {file} 0 0")).parse().ok()
    }

    pub(super) fn set_length(&mut self, file: u64, pages: u64) {
        self.ask(&format!("cut {file} {pages} 0"));
    }

    pub(super) fn close(&mut self, file: u64) {
        self.ask(&format!("close {file} 0 0"));
    }

    pub(super) fn unlink(&mut self, file: u64) {
        self.ask(&format!("unlink {file} 0 0"));
    }

    pub(super) fn sync(&mut self, file: u64) {
        self.ask(&format!("sync {file} 0 0"));
    }

    pub(super) fn list(&mut self) -> Vec<u64> {
        let names = self.ask("list 0 0 0");
        names.split(',').filter_map(|name| name.parse().ok()).map(|name: u64| name - 1000).collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    if std::env::var_os(MARK).is_some() {
        work();
        std::process::exit(0);
    }
}

fn path(file: u64) -> CString {
    CString::new(format!("base/1/{}", 1000 + file)).unwrap()
}

/// Descriptors of open files, by number.
struct Files([i32; 16]);

impl Files {
    /// Opens the file if it is not open yet. -1 when there is none.
    fn open(&mut self, file: u64, flags: i32) -> i32 {
        let fd = &mut self.0[file as usize];
        if *fd < 0 {
            // SAFETY: the path is NUL-terminated.
            *fd = unsafe { libc::open(path(file).as_ptr(), libc::O_RDWR | flags, 0o600) };
        }
        *fd
    }

    fn close(&mut self, file: u64) {
        let fd = std::mem::replace(&mut self.0[file as usize], -1);
        if fd >= 0 {
            // SAFETY: our own descriptor.
            unsafe { libc::close(fd) };
        }
    }
}

fn work() {
    // Not through `std::io::stdin`, whose buffers are set up by `main`.
    let requests = BufReader::new(File::open("/proc/self/fd/0").unwrap());
    let mut files = Files([-1; 16]);
    for request in requests.lines().map_while(Result::ok) {
        let words: Vec<&str> = request.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let answer = carry_out(&mut files, words[0], number(1), number(2), number(3));
        let answer =
            format!("{}\n", answer.unwrap_or_else(|| format!("failed: {}", std::io::Error::last_os_error())));
        // SAFETY: the bytes are ours.
        unsafe { libc::write(1, answer.as_ptr().cast(), answer.len()) };
    }
}

fn carry_out(files: &mut Files, verb: &str, file: u64, page: u64, stamp: u64) -> Option<String> {
    let offset = (page * PAGE_SIZE) as i64;
    // SAFETY: every pointer is to memory of ours of the length that goes with it.
    let done = unsafe {
        match verb {
            "create" => files.open(file, libc::O_CREAT) >= 0,
            "write" => {
                let bytes: Vec<u8> = stamp.to_ne_bytes().repeat(PAGE / 8);
                libc::pwrite(files.open(file, 0), bytes.as_ptr().cast(), PAGE, offset) == PAGE as isize
            }
            "read" => {
                let mut bytes = vec![0xeeu8; PAGE];
                let read = libc::pread(files.open(file, 0), bytes.as_mut_ptr().cast(), PAGE, offset);
                if read != PAGE as isize {
                    return None;
                }
                let first = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
                let is_whole = bytes.chunks(8).all(|word| word == first.to_ne_bytes());
                return Some(if is_whole { first.to_string() } else { "failed: a torn page".into() });
            }
            "length" => {
                let fd = files.open(file, 0);
                return Some(if fd < 0 {
                    "none".into()
                } else {
                    (libc::lseek(fd, 0, libc::SEEK_END) as u64 / PAGE_SIZE).to_string()
                });
            }
            "cut" => libc::ftruncate(files.open(file, 0), offset) == 0,
            "sync" => libc::fsync(files.open(file, 0)) == 0,
            "unlink" => libc::unlink(path(file).as_ptr()) == 0,
            "close" => {
                files.close(file);
                true
            }
            "list" => {
                let folder = libc::opendir(c"base/1".as_ptr());
                let mut names = String::from("files");
                loop {
                    let entry = libc::readdir(folder);
                    if entry.is_null() {
                        break;
                    }
                    let name = std::ffi::CStr::from_ptr((*entry).d_name.as_ptr()).to_string_lossy();
                    names = names + "," + &name;
                }
                libc::closedir(folder);
                return Some(names);
            }
            _ => false,
        }
    };
    done.then(|| "done".into())
}
