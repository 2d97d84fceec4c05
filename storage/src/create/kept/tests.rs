use offshoot_postgres::Silent;

use super::*;

fn cluster(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    fs::create_dir_all(data.join("base/5")).unwrap();
    fs::create_dir(data.join("pg_notify")).unwrap();
    fs::write(data.join("base/5/1234"), vec![7; 200_000]).unwrap();
    fs::write(data.join("pg_wal"), [vec![1; 65536], vec![0; 1 << 20]].concat()).unwrap();
    fs::write(data.join("PG_VERSION"), "18\n").unwrap();
    data
}

fn entry(dir: &Path, name: &str, data: &Path) -> PathBuf {
    let entry = dir.join(name);
    fs::create_dir(&entry).unwrap();
    Manifest::copy_from(data, &entry, Extensions::default(), format!("seed {name}"), &Silent).unwrap();
    entry
}

#[test]
fn a_copy_is_what_was_kept_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let data = cluster(dir.path());
    let entry = entry(dir.path(), "aa", &data);
    let manifest = Manifest::read(&entry).unwrap();
    assert_eq!(manifest.what, "seed aa");
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    manifest.copy_to(&entry, &out, &Silent).unwrap();
    for name in ["base/5/1234", "pg_wal", "PG_VERSION"] {
        assert_eq!(fs::read(out.join(name)).unwrap(), fs::read(data.join(name)).unwrap(), "{name}");
    }
    assert!(out.join("pg_notify").is_dir());
    assert!(disk_usage(&out.join("..").join("out")) < 600_000, "zeros take no room");

    let copy = |to: &str| {
        let to = dir.path().join(to);
        fs::create_dir(&to).unwrap();
        manifest.copy_to(&entry, &to, &Silent).unwrap_err().kind()
    };
    let mut changed = vec![7; 200_000];
    changed[100_000] = 8;
    fs::write(entry.join("pgdata/base/5/1234"), changed).unwrap();
    assert_eq!(copy("changed"), io::ErrorKind::InvalidData);
    fs::remove_file(entry.join("pgdata/base/5/1234")).unwrap();
    assert_eq!(copy("absent"), io::ErrorKind::NotFound);
}

#[test]
fn a_manifest_that_is_cut_off_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(dir.path(), "aa", &cluster(dir.path()));
    let text = fs::read_to_string(entry.join(MANIFEST)).unwrap();
    for length in [0, 10, text.len() / 2, text.len() - 1] {
        fs::write(entry.join(MANIFEST), &text[..length]).unwrap();
        assert_eq!(Manifest::read(&entry), None, "{length}");
    }
}

#[test]
fn what_was_not_used_for_longest_goes_first_and_what_is_unfinished_always() {
    let dir = tempfile::tempdir().unwrap();
    let data = cluster(dir.path());
    let seeds = dir.path().join("seeds");
    fs::create_dir(&seeds).unwrap();
    for (name, age) in [("old", 300), ("new", 100), ("middle", 200)] {
        let manifest = File::options().append(true).open(entry(&seeds, name, &data).join(MANIFEST)).unwrap();
        manifest.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    fs::create_dir_all(seeds.join("partial-1/pgdata")).unwrap();
    let own = disk_usage(&seeds.join("new"));
    let cache = SeedCache { dir: seeds.clone(), max_bytes: own * 3, min_free_bytes: 0, inputs: None };
    let names = || SeedCache::list(&seeds).seeds.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(names(), ["new", "middle", "old"]);
    make_room(&cache, own).unwrap();
    assert_eq!(names(), ["new", "middle"]);
    assert!(!seeds.join("partial-1").exists());
    make_room(&cache, own * 3).unwrap();
    assert_eq!(names(), Vec::<String>::new());
}

#[test]
fn what_is_listed_is_what_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let data = cluster(dir.path());
    let seeds = dir.path().join("seeds");
    fs::create_dir(&seeds).unwrap();
    entry(&seeds, "whole", &data);
    fs::write(entry(&seeds, "damaged", &data).join(MANIFEST), "cut").unwrap();
    fs::create_dir_all(seeds.join("partial-1/pgdata")).unwrap();
    let (damaged, unfinished) = (disk_usage(&seeds.join("damaged")), disk_usage(&seeds.join("partial-1")));
    let listed = SeedCache::list(&seeds);
    assert_eq!(listed.seeds.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["whole"]);
    assert_eq!(listed.unusable_bytes, damaged + unfinished);
    assert_eq!(listed.bytes(), disk_usage(&seeds.join("whole")) + damaged + unfinished);
    assert_eq!(SeedCache::clear(&seeds, &Silent).unwrap(), listed);
    assert_eq!(SeedCache::list(&seeds), KeptSeeds::default());
    assert_eq!(SeedCache::clear(&dir.path().join("nowhere"), &Silent).unwrap(), KeptSeeds::default());
}
