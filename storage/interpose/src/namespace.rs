//! Files that appear and go: creating, deleting, looking at and listing relation files.

use libc::c_int;
use offshoot_pages::map::{Map, MapError, NewMap, WHITEOUT};
use offshoot_pages::point::{Point, pass};
use offshoot_pages::sys;

use crate::file::{File, resolve};
use crate::gate;
use crate::local::{active, fail, layer_path, local};
use crate::paths::RelationPath;
use crate::table::{self, Entry, MAX_DESCRIPTORS};

/// Opens, and with `O_CREAT` creates, a relation file. Returns the descriptor or -1.
pub(crate) fn open(path: &RelationPath, flags: c_int) -> c_int {
    let changes = flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
    let _gate = changes.then(gate::enter);
    let mut file = match resolve(path) {
        Ok(file) => file,
        Err(code) => return fail(code),
    };
    if file.is_some() && flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL {
        return fail(libc::EEXIST);
    }
    if file.is_none() {
        if flags & libc::O_CREAT == 0 {
            return fail(libc::ENOENT);
        }
        if let Err(code) = create(path) {
            return fail(code);
        }
        file = resolve(path).ok().flatten();
    }
    let Some(mut file) = file else { return fail(libc::EIO) };
    let data = layer_path(file.top_layer(), path.as_bytes(), b".d");
    let access = if file.has_top() { libc::O_RDWR } else { libc::O_RDONLY };
    let fd = unsafe { sys::open(data.as_ptr(), access | (flags & libc::O_CLOEXEC), 0) };
    if fd < 0 {
        // Its layer was merged into another one since it was found.
        let gone = sys::errno() == libc::ENOENT && file.is_behind();
        return if gone { open(path, flags & !libc::O_EXCL) } else { fd };
    }
    if fd as usize >= MAX_DESCRIPTORS {
        unsafe { sys::close(fd) };
        return fail(libc::EMFILE);
    }
    file.adopt(fd);
    file.close_on_exec = flags & libc::O_CLOEXEC;
    if flags & libc::O_APPEND != 0 {
        file.position = file.length() as i64;
    }
    if flags & libc::O_TRUNC != 0 && file.set_length(fd, 0) != 0 {
        unsafe { sys::close(fd) };
        return -1;
    }
    table::set(fd, Entry::Relation(Box::into_raw(Box::new(file))));
    fd
}

/// Creates an empty file in the writable layer, unless another process just did.
fn create(path: &RelationPath) -> Result<(), c_int> {
    let folder = [&active().data_dir[..], b"/", path.folder(), b"\0"].concat();
    if unsafe { libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, folder.as_ptr(), libc::F_OK) } != 0 {
        return Err(libc::ENOENT);
    }
    let _names = local().lock_names();
    if resolve(path)?.is_some() {
        return Ok(());
    }
    let incarnation = active().control.next_incarnation();
    publish(path, NewMap { incarnation, ..NewMap::default() }, &CREATE)
}

/// Gives a file that lower layers have a part in the writable layer, as yet without pages.
pub(crate) fn publish_over(path: &RelationPath, below: Map) -> Result<(), c_int> {
    let length = below.length();
    let new = NewMap { length, base_limit: length, flags: 0, incarnation: below.incarnation() };
    publish(path, new, &OVER)
}

/// What is put into the writable layer, and the points of a test within that.
struct Kind {
    with_data: bool,
    map_written: Point,
    data_made: Option<Point>,
    map_renamed: Point,
}

const CREATE: Kind = Kind {
    with_data: true,
    map_written: Point::CreateMapWritten,
    data_made: Some(Point::CreateDataMade),
    map_renamed: Point::CreateMapRenamed,
};
const OVER: Kind = Kind {
    with_data: true,
    map_written: Point::OverMapWritten,
    data_made: Some(Point::OverDataMade),
    map_renamed: Point::OverMapRenamed,
};
const HIDE: Kind = Kind {
    with_data: false,
    map_written: Point::WhiteoutWritten,
    data_made: None,
    map_renamed: Point::WhiteoutRenamed,
};

/// Puts a map into the writable layer, atomically. The names are locked.
fn publish(path: &RelationPath, new: NewMap, kind: &Kind) -> Result<(), c_int> {
    let layer = local().layer(0);
    let temporary = layer_path(layer, path.as_bytes(), b".m.tmp");
    let target = layer_path(layer, path.as_bytes(), b".m");
    let data = layer_path(layer, path.as_bytes(), b".d");
    // A file made where a whiteout was: were its map lost in a machine crash, the deleted file below would come
    // back under its name. A lost whiteout does no harm: Postgres repeats the deletion, or never looks.
    let replaces =
        new.flags & WHITEOUT == 0 && Map::open(&target, false).map(|map| unsafe { map.unmap() }).is_ok();
    let mut written = Map::write_new(&temporary, new, replaces);
    if written == Err(MapError::Os(libc::ENOENT)) {
        make_folders(layer, path.folder())?;
        written = Map::write_new(&temporary, new, replaces);
    }
    written.map_err(|error| match error {
        MapError::Os(code) => code,
        MapError::NotAMap => libc::EIO,
    })?;
    pass(kind.map_written);
    unsafe {
        if kind.with_data {
            sys::unlink(data.as_ptr());
            let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
            let fd = sys::open(data.as_ptr(), flags, 0o600);
            if fd < 0 {
                return Err(sys::errno());
            }
            sys::close(fd);
            if let Some(point) = kind.data_made {
                pass(point);
            }
        }
        if sys::rename(temporary.as_ptr(), target.as_ptr()) != 0 {
            return Err(sys::errno());
        }
        pass(kind.map_renamed);
        // Only now: had the whiteout not come to be, the file would have a map and no pages.
        if !kind.with_data {
            sys::unlink(data.as_ptr());
        }
    }
    // It is there, even if what follows fails.
    active().control.bump_file_version(path.hash());
    if replaces && sync_folder(layer, path.folder()) != 0 {
        return Err(sys::errno());
    }
    Ok(())
}

fn make_folders(layer: u64, folder: &[u8]) -> Result<(), c_int> {
    let upper = folder.starts_with(b"base/").then_some(&b"base"[..]);
    for folder in upper.into_iter().chain([folder]) {
        let made = unsafe { sys::mkdir(layer_path(layer, folder, b"").as_ptr(), 0o700) };
        if made != 0 && sys::errno() != libc::EEXIST {
            return Err(sys::errno());
        }
    }
    Ok(())
}

/// Makes the entries of a layer's folder durable, and those of the folders above it when this process has not yet;
/// 0, or -1 with `errno`.
pub(crate) fn sync_folder(layer: u64, folder: &[u8]) -> c_int {
    if sync_one_folder(layer, folder) != 0 {
        return -1;
    }
    if !local().folder_is_known_durable(layer, folder) {
        // The engine made the layer itself durable. One that touches only shared relations has no `base`.
        for upper in [&b"base"[..], b""] {
            if sync_one_folder(layer, upper) != 0 && sys::errno() != libc::ENOENT {
                return -1;
            }
        }
        local().note_durable_folder(layer, folder);
    }
    0
}

fn sync_one_folder(layer: u64, folder: &[u8]) -> c_int {
    unsafe {
        let path = layer_path(layer, folder, b"");
        let fd = sys::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC, 0);
        if fd < 0 {
            return -1;
        }
        let result = sys::fsync(fd);
        let error = sys::errno();
        sys::close(fd);
        sys::set_errno(error);
        result
    }
}

/// Deletes a relation file from the branch. Lower layers keep theirs; a whiteout hides it.
pub(crate) fn unlink(path: &RelationPath) -> c_int {
    let _gate = gate::enter();
    let _names = local().lock_names();
    let mut file = match resolve(path) {
        Ok(Some(file)) => file,
        Ok(None) => return fail(libc::ENOENT),
        Err(code) => return fail(code),
    };
    // What is damaged below is hidden as well.
    let has_lower = !file.has_top() || file.find_next_part().unwrap_or(true);
    if has_lower {
        let whiteout = NewMap { flags: WHITEOUT, ..NewMap::default() };
        if let Err(code) = publish(path, whiteout, &HIDE) {
            return fail(code);
        }
    }
    let layer = local().layer(0);
    if !has_lower && unsafe { sys::unlink(layer_path(layer, path.as_bytes(), b".m").as_ptr()) } != 0 {
        return -1;
    }
    if !has_lower {
        pass(Point::UnlinkMapGone);
    }
    // Only now: had the deletion failed, those who have the file open would write into nothing.
    if file.has_top() {
        file.top_map().mark_unlinked();
        pass(Point::UnlinkMarked);
    }
    if has_lower {
        return 0;
    }
    unsafe { sys::unlink(layer_path(layer, path.as_bytes(), b".d").as_ptr()) };
    pass(Point::UnlinkDone);
    active().control.bump_file_version(file.hash());
    0
}

/// Fills `out` for a relation file, as `stat` does; sizes are the branch's.
pub(crate) unsafe fn stat(path: &RelationPath, out: *mut libc::stat) -> c_int {
    let file = match resolve(path) {
        Ok(Some(file)) => file,
        Ok(None) => return fail(libc::ENOENT),
        Err(code) => return fail(code),
    };
    let data = layer_path(file.top_layer(), path.as_bytes(), b".d");
    unsafe {
        let result = libc::syscall(libc::SYS_newfstatat, libc::AT_FDCWD, data.as_ptr(), out, 0) as c_int;
        if result == 0 {
            set_size(&file, out);
        } else if sys::errno() == libc::ENOENT && file.is_behind() {
            return stat(path, out);
        }
        result
    }
}

/// Puts the size that the branch sees into `out`.
pub(crate) unsafe fn set_size(file: &File, out: *mut libc::stat) {
    unsafe { (*out).st_size = file.length() as i64 };
}

/// Whether the branch has a relation file at `path`, be it a damaged one.
pub(crate) fn exists(path: &RelationPath) -> bool {
    !matches!(resolve(path), Ok(None))
}
