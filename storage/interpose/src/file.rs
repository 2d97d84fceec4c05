//! An open relation file: which layers it is made of, and how it follows the branch.

use libc::c_int;
use offshoot_pages::map::{Map, MapError, UNLINKED, WHITEOUT};
use offshoot_pages::point::{Point, pass};
use offshoot_pages::{PAGE_SIZE, sys};

use crate::local::{active, complain, die, layer_path, local};
use crate::namespace;
use crate::paths::RelationPath;
use crate::power;

/// The file's part in one layer.
pub(crate) struct Part {
    /// Place of the layer in the stack when this was opened.
    index: usize,
    layer: u64,
    pub(crate) map: Map,
    /// Descriptor of the pages, -1 until needed. That of part 0 is the one that Postgres holds.
    data: c_int,
}

/// An open relation file.
pub(crate) struct File {
    path: RelationPath,
    hash: usize,
    generation: u64,
    /// Counter of files with this hash when the stack was last looked through.
    version: u32,
    /// For `read`, `write` and `lseek`.
    pub(crate) position: i64,
    /// From the top; at least one. Lower ones are looked up when first needed.
    parts: Vec<Part>,
    /// Place in the stack where the search for more parts goes on.
    next: usize,
    /// Whether part 0 is in the writable layer.
    has_top: bool,
    /// Deleted while open: reads what it had, swallows writes, as a deleted file does.
    orphan: bool,
    /// `O_CLOEXEC` or 0, for the descriptor that replaces the present one.
    pub(crate) close_on_exec: c_int,
}

impl Drop for File {
    fn drop(&mut self) {
        release(&mut self.parts);
    }
}

/// Gives parts up, except the descriptor of part 0, which is Postgres's.
fn release(parts: &mut Vec<Part>) {
    for (index, part) in parts.drain(..).enumerate() {
        // SAFETY: the part and with it the only copy of the map goes.
        unsafe { part.map.unmap() };
        if index > 0 && part.data >= 0 {
            unsafe { sys::close(part.data) };
        }
    }
}

/// Finds the file in the stack; `None` when it does not exist in the branch.
///
/// # Errors
/// As [`File::find_next_part`].
pub(crate) fn resolve(path: &RelationPath) -> Result<Option<File>, c_int> {
    let generation = local().catch_up();
    let hash = path.hash();
    let mut file = File {
        path: *path,
        hash,
        generation,
        version: active().control.file_version(hash),
        position: 0,
        parts: Vec::new(),
        next: 0,
        has_top: false,
        orphan: false,
        close_on_exec: 0,
    };
    if !file.find_next_part()? {
        return Ok(None);
    }
    file.has_top = file.parts[0].index == 0;
    Ok(Some(file))
}

impl File {
    pub(crate) fn path(&self) -> &RelationPath {
        &self.path
    }

    pub(crate) fn hash(&self) -> usize {
        self.hash
    }

    pub(crate) fn has_top(&self) -> bool {
        self.has_top
    }

    pub(crate) fn is_orphan(&self) -> bool {
        self.orphan
    }

    /// The map of the uppermost layer that has the file.
    pub(crate) fn top_map(&self) -> Map {
        self.parts[0].map
    }

    pub(crate) fn top_layer(&self) -> u64 {
        self.parts[0].layer
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.parts[0].map.length()
    }

    /// Gives part 0 the descriptor that Postgres will hold.
    pub(crate) fn adopt(&mut self, fd: c_int) {
        self.parts[0].data = fd;
    }

    /// Looks for the file in the next lower layers; false when there is no more.
    ///
    /// # Errors
    /// The `errno` of what failed; `EIO` for a damaged map, which the log names. A guess would be wrong data.
    pub(crate) fn find_next_part(&mut self) -> Result<bool, c_int> {
        while self.next < local().depth() {
            let index = self.next;
            self.next += 1;
            let layer = local().layer(index);
            let path = layer_path(layer, self.path.as_bytes(), b".m");
            let map = match Map::open(&path, index == 0 || !local().is_durable(index)) {
                Ok(map) => map,
                Err(MapError::Os(libc::ENOENT | libc::ENOTDIR)) => continue,
                Err(error) => {
                    // The next call fails again.
                    self.next = index;
                    return Err(match error {
                        MapError::Os(code) => code,
                        MapError::NotAMap => {
                            complain(&["the page map ", &path.to_string_lossy(), " is damaged"]);
                            libc::EIO
                        }
                    });
                }
            };
            if map.flags() & WHITEOUT != 0 {
                // SAFETY: the only copy.
                unsafe { map.unmap() };
                self.next = usize::MAX;
                return Ok(false);
            }
            self.parts.push(Part { index, layer, map, data: -1 });
            return Ok(true);
        }
        Ok(false)
    }

    /// The descriptor of the pages of part `part`; -1 with `errno` when it cannot be opened.
    pub(crate) fn data(&mut self, part: usize) -> c_int {
        if self.parts[part].data < 0 {
            let path = layer_path(self.parts[part].layer, self.path.as_bytes(), b".d");
            self.parts[part].data = unsafe { sys::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC, 0) };
        }
        self.parts[part].data
    }

    /// Whether an open of a lower part failed because the branch has another stack by now and the layer is gone. Then
    /// the file follows the branch, and the caller looks for the page again.
    pub(crate) fn follow(&mut self) -> bool {
        if self.orphan || sys::errno() != libc::ENOENT || active().control.generation() == self.generation {
            return false;
        }
        let fd = self.parts[0].data;
        self.catch_up(fd);
        !self.orphan
    }

    /// Whether the branch's stack is another one than when this was resolved.
    pub(crate) fn is_behind(&self) -> bool {
        active().control.generation() != self.generation
    }

    /// The part that owns `page`; `None` when it reads as zeros.
    ///
    /// # Errors
    /// As [`File::find_next_part`].
    pub(crate) fn owner(&mut self, page: u64) -> Result<Option<usize>, c_int> {
        let mut part = 0;
        loop {
            let map = &self.parts[part].map;
            if map.owns(page) {
                return Ok(Some(part));
            }
            if page * PAGE_SIZE >= map.base_limit() {
                return Ok(None);
            }
            part += 1;
            if part == self.parts.len() && !self.find_next_part()? {
                return Ok(None);
            }
        }
    }

    /// Follows the branch: after a freeze, and after another process gave the file a top part.
    pub(crate) fn catch_up(&mut self, fd: c_int) {
        let generation = local().catch_up();
        if generation != self.generation
            || (!self.has_top && active().control.file_version(self.hash) != self.version)
        {
            self.look_again(fd);
        }
    }

    #[cold]
    fn look_again(&mut self, fd: c_int) {
        if self.orphan {
            return;
        }
        if self.parts[0].map.flags() & UNLINKED != 0 {
            self.orphan = true;
            return;
        }
        let error = sys::errno();
        match resolve(&self.path) {
            Ok(Some(mut found)) if found.top_map().incarnation() == self.top_map().incarnation() => {
                // A frozen layer that took another one in may have another data file under the same name.
                if (found.top_layer() != self.top_layer() || !found.has_top)
                    && !replace_descriptor(&found, fd, self.close_on_exec)
                {
                    // The layer was merged into another one and removed since: once more, with the new stack.
                    if !found.is_behind() {
                        die("cannot open a relation file in the branch's new layer");
                    }
                    self.look_again(fd);
                    sys::set_errno(error);
                    return;
                }
                pass(Point::DescriptorReplaced);
                found.adopt(fd);
                release(&mut self.parts);
                self.parts = std::mem::take(&mut found.parts);
                self.next = found.next;
                self.has_top = found.has_top;
                self.generation = found.generation;
                self.version = found.version;
            }
            Ok(_) => self.orphan = true,
            Err(_) => die("cannot follow a relation file into the branch's new layers"),
        }
        sys::set_errno(error);
    }

    /// Makes sure that the file has a part in the writable layer. Inside the gate, so that the layer stays
    /// the writable one.
    ///
    /// # Errors
    /// The `errno` of what failed.
    pub(crate) fn ensure_top(&mut self, fd: c_int) -> Result<(), c_int> {
        if self.has_top || self.orphan {
            return Ok(());
        }
        let _names = local().lock_names();
        self.catch_up(fd);
        if self.has_top || self.orphan {
            return Ok(());
        }
        namespace::publish_over(&self.path, self.top_map())?;
        self.look_again(fd);
        if self.has_top || self.orphan { Ok(()) } else { Err(libc::EIO) }
    }

    /// Makes everything of the file that is not yet known to be on disk durable, in all layers.
    ///
    /// A checkpoint may have to sync pages that were written before a freeze, so that frozen layers that the
    /// engine has not made durable are synced too.
    ///
    /// # Errors
    /// The `errno` of what failed.
    pub(crate) fn sync(&mut self, fd: c_int) -> Result<(), c_int> {
        self.catch_up(fd);
        if self.orphan {
            // Deleted: nobody will read it again.
            return Ok(());
        }
        let mut part = 0;
        loop {
            while part == self.parts.len() {
                let more = (self.next..local().depth()).any(|index| !local().is_durable(index));
                if !more || !self.find_next_part()? {
                    return Ok(());
                }
            }
            let index = self.parts[part].index;
            if index == 0 || !local().is_durable(index) {
                let data = self.data(part);
                if data < 0 {
                    if self.follow() {
                        part = 0;
                        continue;
                    }
                    return Err(sys::errno());
                }
                let (layer, folder) = (self.parts[part].layer, self.path.folder());
                let mark = power::mark();
                self.parts[part].map.sync(Some(data), || namespace::sync_folder(layer, folder))?;
                power::synced(data, mark);
            }
            part += 1;
        }
    }
}

/// Puts the data of `found` behind the descriptor `fd` that Postgres holds; false when they cannot be opened.
fn replace_descriptor(found: &File, fd: c_int, close_on_exec: c_int) -> bool {
    let access = if found.has_top { libc::O_RDWR } else { libc::O_RDONLY };
    let path = layer_path(found.top_layer(), found.path.as_bytes(), b".d");
    unsafe {
        let new = sys::open(path.as_ptr(), access | libc::O_CLOEXEC, 0);
        if new < 0 {
            return false;
        }
        let replaced = sys::dup3(new, fd, close_on_exec) >= 0;
        sys::close(new);
        replaced
    }
}
