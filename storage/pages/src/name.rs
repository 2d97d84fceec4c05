//! Which paths of a data directory are relation files, and so live in layers.

/// What a path below a data directory is to the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A relation file: `base/<db>/<n>` or `global/<n>`, any fork, any segment.
    Relation,
    /// A folder of relation files: `base/<db>` or `global`.
    RelationFolder,
    /// `global/pg_control`, which is kept outside the data directory: a Postgres that runs without the
    /// interposer does not find it and stops before it touches anything.
    ControlFile,
    /// Anything else in the data directory.
    Plain,
}

/// Longest path of a relation file below its data directory, in bytes.
pub const MAX_RELATION_PATH: usize = 60;

/// Classifies `path`, given relative to the data directory, without leading or trailing slashes.
pub fn classify(path: &[u8]) -> PathKind {
    if path.len() > MAX_RELATION_PATH {
        return PathKind::Plain;
    }
    match path {
        b"global" => return PathKind::RelationFolder,
        b"global/pg_control" => return PathKind::ControlFile,
        _ => {}
    }
    if let Some(file) = path.strip_prefix(b"global/") {
        return if is_relation_file(file) { PathKind::Relation } else { PathKind::Plain };
    }
    let Some(rest) = path.strip_prefix(b"base/") else { return PathKind::Plain };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, rest.get(digits)) {
        (1.., None) => PathKind::RelationFolder,
        (1.., Some(b'/')) if is_relation_file(&rest[digits + 1..]) => PathKind::Relation,
        _ => PathKind::Plain,
    }
}

/// Whether `name` is a relation file's: `<n>`, with `_fsm`, `_vm` or `_init`, with `.<segment>`.
pub fn is_relation_file(name: &[u8]) -> bool {
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return false;
    }
    let mut rest = &name[digits..];
    for fork in [&b"_fsm"[..], b"_vm", b"_init"] {
        if let Some(after) = rest.strip_prefix(fork) {
            rest = after;
            break;
        }
    }
    match rest {
        [] => true,
        [b'.', segment @ ..] => !segment.is_empty() && segment.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_and_segments_are_relation_files() {
        for name in ["1", "16384", "16384.1", "16384_fsm", "16384_vm.12", "16384_init"] {
            assert!(is_relation_file(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn temporary_and_other_files_are_not_relation_files() {
        for name in ["", "t3_16384", "PG_VERSION", "pg_filenode.map", "16384.", "16384_foo", "16384.x", ".1"]
        {
            assert!(!is_relation_file(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn paths_are_classified_by_place_and_name() {
        let cases: [(&str, PathKind); 10] = [
            ("base/5/1259", PathKind::Relation),
            ("global/1262_fsm", PathKind::Relation),
            ("base/5", PathKind::RelationFolder),
            ("global", PathKind::RelationFolder),
            ("global/pg_control", PathKind::ControlFile),
            ("global/pg_filenode.map", PathKind::Plain),
            ("base", PathKind::Plain),
            ("base/pgsql_tmp/pgsql_tmp12.0", PathKind::Plain),
            ("base/5/t3_99", PathKind::Plain),
            ("pg_wal/000000010000000000000001", PathKind::Plain),
        ];
        for (path, kind) in cases {
            assert_eq!(classify(path.as_bytes()), kind, "{path}");
        }
    }
}
