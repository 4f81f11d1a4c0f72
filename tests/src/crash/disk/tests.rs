use super::image::SECTOR;
use super::*;

const FOLDER: Node = Node(1);
const FILE: Node = Node(2);

/// A folder `f`, durable under its name, and a file `f/one` in it, whose name is not.
fn begun() -> Vec<Entry> {
    let mut entries = Vec::new();
    push(&mut entries, What::FolderMade("f".into(), FOLDER));
    sync(&mut entries, Node::ROOT);
    push(&mut entries, What::FileMade("f/one".into(), FILE));
    entries
}

fn push(entries: &mut Vec<Entry>, what: What) {
    entries.push(Entry { who: 'x', what });
}

fn write(entries: &mut Vec<Entry>, offset: u64, bytes: &[u8]) {
    push(entries, What::Written { file: FILE, offset, bytes: bytes.to_vec() });
}

fn sync(entries: &mut Vec<Entry>, node: Node) {
    let begun = entries.len();
    push(entries, What::SyncBegun(node));
    push(entries, What::Synced { node, begun });
}

/// What is in `f` after a loss: names and contents.
fn after(entries: &[Entry], loss: Loss) -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = tempfile::tempdir().unwrap();
    Disk::after(entries).unwrap().rebuild(folder.path(), loss, &["f"]).unwrap();
    let read = fs::read_dir(folder.path().join("f")).ok()?;
    let named = read.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    Some(
        named
            .map(|name| (name.clone(), fs::read(folder.path().join("f").join(name)).unwrap()))
            .collect(),
    )
}

fn found(names: &[(&str, &[u8])]) -> Option<BTreeMap<String, Vec<u8>>> {
    Some(names.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect())
}

#[test]
fn a_name_is_durable_by_its_folders_sync_alone() {
    let mut entries = begun();
    write(&mut entries, 0, b"abc");
    sync(&mut entries, FILE);
    assert_eq!(after(&entries, Loss::Everything), found(&[]), "the file's own sync is none");
    sync(&mut entries, FOLDER);
    assert_eq!(after(&entries, Loss::Everything), found(&[("one", b"abc")]));
    let unnamed: Vec<Entry> =
        begun().into_iter().filter(|entry| !matches!(entry.what, What::Synced { .. })).collect();
    assert_eq!(
        after(&unnamed, Loss::Everything),
        None,
        "a folder's name is its folder's affair too"
    );
}

#[test]
fn contents_are_durable_by_the_files_sync_alone_and_only_what_was_written_before_it_began() {
    let mut entries = begun();
    sync(&mut entries, FOLDER);
    write(&mut entries, 0, b"abc");
    assert_eq!(after(&entries, Loss::Everything), found(&[("one", b"")]));
    let begun = entries.len();
    push(&mut entries, What::SyncBegun(FILE));
    write(&mut entries, 3, b"def");
    assert_eq!(after(&entries, Loss::Everything), found(&[("one", b"")]), "it has not ended");
    push(&mut entries, What::Synced { node: FILE, begun });
    assert_eq!(after(&entries, Loss::Everything), found(&[("one", b"abc")]));
    assert_eq!(after(&entries, Loss::Nothing), found(&[("one", b"abcdef")]));
    push(&mut entries, What::Truncated(FILE, 1));
    assert_eq!(after(&entries, Loss::Contents), found(&[("one", b"abc")]));
    assert_eq!(after(&entries, Loss::Names), found(&[("one", b"a")]));
}

#[test]
fn a_rename_in_a_folder_is_there_whole_or_not_at_all() {
    let mut entries = begun();
    sync(&mut entries, FOLDER);
    push(&mut entries, What::Renamed("f/one".into(), "f/two".into()));
    let (before, done) = (found(&[("one", b"")]), found(&[("two", b"")]));
    assert_eq!(after(&entries, Loss::Everything), before);
    let outcomes: Vec<_> = (0..32).map(|seed| after(&entries, Loss::Some(seed))).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == before || *outcome == done));
    assert!(outcomes.contains(&before) && outcomes.contains(&done));
    sync(&mut entries, FOLDER);
    assert_eq!(after(&entries, Loss::Everything), done);
}

#[test]
fn a_write_may_be_torn_between_sectors_and_nowhere_else() {
    let mut entries = begun();
    sync(&mut entries, FOLDER);
    let old = vec![1; 4 * SECTOR];
    write(&mut entries, 0, &old);
    sync(&mut entries, FILE);
    write(&mut entries, 100, &vec![2; 3 * SECTOR]);
    let mut torn = 0;
    for seed in 0..64 {
        let bytes = &after(&entries, Loss::Some(seed)).unwrap()["one"];
        let changes = bytes.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]);
        let borders: Vec<usize> = changes.map(|(at, _)| at + 1).collect();
        let end = 100 + 3 * SECTOR;
        assert!(borders.iter().all(|at| at % SECTOR == 0 || *at == 100 || *at == end));
        torn += u32::from(!borders.is_empty() && borders != [100, end]);
    }
    assert!(torn > 5, "{torn}");
}

#[test]
fn with_an_ordered_loss_no_name_is_there_without_those_before_it() {
    let mut entries = begun();
    sync(&mut entries, FOLDER);
    push(&mut entries, What::FileMade("f/two".into(), Node(3)));
    push(&mut entries, What::FileMade("f/three".into(), Node(4)));
    let names = |loss| -> Vec<String> { after(&entries, loss).unwrap().into_keys().collect() };
    let ordered: Vec<_> = (0..64).map(|seed| names(Loss::Ordered(seed))).collect();
    assert!(ordered.iter().all(|names| !names.contains(&"three".into()) || names.len() == 3));
    assert!(ordered.iter().any(|names| names.len() == 1));
    assert!((0..64).any(|seed| names(Loss::Some(seed)) == ["one", "three"]));
}
