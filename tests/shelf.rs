//! The shelf, the model store and gc, on a real file system and across processes.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use base::{ModelId, Sha256, UnixSeconds};
use vault::{
    Object, Shelf,
    gc::{Inventory, Keep, Limits, plan, sweep},
    inspect::{Flaw, Format, inspect},
    verify::{Checked, Promise, check_file, verify_file},
    view::{EntryPath, ModelStore, ViewError, ViewFile},
};

use crate::support::peers;

/// Puts bytes on the shelf the way a download does.
pub(crate) fn place(shelf: &Shelf, bytes: &[u8]) -> Object {
    let partial = tempfile::NamedTempFile::new_in(shelf.partials()).unwrap();
    fs::write(partial.path(), bytes).unwrap();
    let path = partial.into_temp_path().keep().unwrap();
    shelf.place(verify_file(&path, Sha256::of(bytes), bytes.len() as u64).unwrap()).unwrap()
}

fn shelf() -> (tempfile::TempDir, Shelf) {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(folder.path().join("models")).unwrap();
    (folder, shelf)
}

fn id(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

fn file(shelf: &Shelf, path: &str, bytes: &[u8]) -> ViewFile {
    ViewFile::verified(EntryPath::parse(path).unwrap(), place(shelf, bytes))
}

#[test]
fn a_deployed_model_is_a_folder_of_relative_links_that_holds_wherever_the_store_is_mounted() {
    let (_folder, shelf) = shelf();
    let store = ModelStore::of(&shelf);
    let model = id("ajna-insight-v2");
    let files = [file(&shelf, "model.safetensors", b"weights"), file(&shelf, "sub/deep/config.json", b"{}")];
    assert!(store.deploy(&model, &files).unwrap());
    assert!(!store.deploy(&model, &files).unwrap());
    let moved = shelf.root().with_file_name("elsewhere");
    fs::rename(shelf.root(), &moved).unwrap();
    assert_eq!(fs::read(moved.join("ajna-insight-v2/model.safetensors")).unwrap(), b"weights");
    assert_eq!(fs::read(moved.join("ajna-insight-v2/sub/deep/config.json")).unwrap(), b"{}");
}

#[test]
fn a_reader_finds_all_of_the_old_model_or_all_of_the_new_one() {
    let (_folder, shelf) = shelf();
    let store = ModelStore::of(&shelf);
    let model = id("ajna-insight-v2");
    let versions = [b"1", b"2"].map(|it| [file(&shelf, "a", it), file(&shelf, "b/c", it)]);
    store.deploy(&model, &versions[0]).unwrap();
    let done = AtomicBool::new(false);
    let folder = store.path(&model);
    let looks = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looks = 0_u32;
            while !done.load(Ordering::SeqCst) {
                // Who holds the folder open reads one version of it, even after the exchange.
                let held = File::open(&folder).expect("there was a moment without a model");
                let held_path = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
                let object =
                    |name: &str| Some(fs::read_link(held_path.join(name)).ok()?.file_name()?.to_owned());
                // Where a link is gone the old folder was removed under the reader, who looks again.
                if let (Some(a), Some(c)) = (object("a"), object("b/c")) {
                    assert_eq!(a, c);
                    looks += 1;
                }
            }
            looks
        });
        for round in 0..200 {
            store.deploy(&model, &versions[(round + 1) % 2]).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        looking.join().unwrap()
    });
    assert!(looks > 0);
    assert_eq!(fs::read(folder.join("a")).unwrap(), b"1");
}

#[test]
fn a_view_is_listed_and_removed_and_its_bytes_stay_for_the_others() {
    let (_folder, shelf) = shelf();
    let store = ModelStore::of(&shelf);
    let shared = file(&shelf, "config.json", b"{}");
    store.deploy(&id("ajna-one-v1"), &[shared.clone(), file(&shelf, "m", b"1")]).unwrap();
    store.deploy(&id("ajna-two-v1"), &[shared, file(&shelf, "m", b"2")]).unwrap();
    let views = store.views().unwrap();
    let names = views.iter().map(|it| (it.id.as_str(), it.files.len())).collect::<Vec<_>>();
    assert_eq!(names, [("ajna-one-v1", 2), ("ajna-two-v1", 2)]);
    assert!(store.remove(&id("ajna-one-v1")).unwrap());
    assert!(!store.remove(&id("ajna-one-v1")).unwrap());
    assert_eq!(fs::read(store.path(&id("ajna-two-v1")).join("config.json")).unwrap(), b"{}");
    assert_eq!(store.digests().unwrap(), BTreeSet::from([Sha256::of(b"{}"), Sha256::of(b"2")]));
}

#[test]
fn what_hallmark_did_not_make_is_not_replaced() {
    let (_folder, shelf) = shelf();
    let store = ModelStore::of(&shelf);
    let files = [file(&shelf, "m", b"1")];
    for make in [
        |it: &Path| fs::create_dir(it).and_then(|()| fs::write(it.join("thesis.doc"), b"")).unwrap(),
        |it: &Path| fs::write(it, b"").unwrap(),
        |it: &Path| std::os::unix::fs::symlink("/etc", it).unwrap(),
    ] {
        let model = id("ajna-insight-v2");
        make(&store.path(&model));
        for error in [store.deploy(&model, &files).unwrap_err(), store.remove(&model).unwrap_err()] {
            assert!(matches!(error, ViewError::Occupied { .. }), "{error}");
        }
        assert_eq!(store.views().unwrap(), []);
        let away = tempfile::tempdir_in(shelf.root().parent().unwrap()).unwrap();
        fs::rename(store.path(&model), away.path().join("it")).unwrap();
    }
    let error = store.deploy(&id("objects"), &files).unwrap_err();
    assert!(matches!(error, ViewError::Reserved { .. }), "{error}");
}

#[test]
fn what_a_killed_process_was_building_is_cleared_by_the_next_deployment() {
    let (_folder, shelf) = shelf();
    let store = ModelStore::of(&shelf);
    let left = shelf.root().join(".tmp-1-0-00000000");
    fs::create_dir_all(left.join("sub")).unwrap();
    store.deploy(&id("ajna-one-v1"), &[file(&shelf, "m", b"1")]).unwrap();
    assert!(!left.exists());
}

#[test]
fn unverified_bytes_are_deployed_as_such_and_are_no_object() {
    let (_folder, shelf) = shelf();
    let partial = shelf.partials().join("x");
    fs::write(&partial, b"who knows").unwrap();
    let checked = check_file(&partial, Sha256::of(b"promised"), 8, Promise::Waived).unwrap();
    let Checked::Unverified(unverified) = checked else { panic!("wrong bytes were taken for right ones") };
    let loose = shelf.place_unverified(unverified).unwrap();
    let store = ModelStore::of(&shelf);
    let model = id("ajna-one-v1");
    let view = ViewFile::unverified(EntryPath::parse("m").unwrap(), loose.clone());
    store.deploy(&model, &[view]).unwrap();
    assert_eq!(fs::read(store.path(&model).join("m")).unwrap(), b"who knows");
    assert!(!store.view(&model).unwrap().unwrap().files[0].verified);
    assert_eq!(shelf.object(&loose.digest()).unwrap(), None);
}

/// Lets everything that was last used up to now be old enough.
fn all_old() -> Limits {
    let future = UnixSeconds(u64::MAX);
    Limits {
        unused_since: future,
        fresh_since: future,
        budget_bytes: None,
        partials_since: future,
        quarantine_since: future,
    }
}

fn collect(shelf: &Shelf, keep: &Keep) -> vault::gc::Swept {
    let swept = sweep(shelf, &plan(&Inventory::take(shelf).unwrap(), keep, &all_old()));
    assert!(swept.failed.is_empty(), "{:?}", swept.failed);
    swept
}

#[test]
fn gc_drops_what_nothing_needs_and_keeps_what_is_live_pinned_or_leased() {
    let (_folder, shelf) = shelf();
    let objects = [b"live", b"pin!", b"read", b"dead"].map(|it| place(&shelf, it));
    let keep =
        Keep { live: BTreeSet::from([objects[0].digest()]), pins: BTreeSet::from([objects[1].digest()]) };
    let lease = shelf.lease(&objects[2].digest()).unwrap();
    let swept = collect(&shelf, &keep);
    assert_eq!((swept.objects, swept.freed_bytes), (1, 4));
    assert_eq!(objects.each_ref().map(|it| it.path().exists()), [true, true, true, false]);
    drop(lease);
    assert_eq!(collect(&shelf, &keep).objects, 1);
    assert_eq!(objects.each_ref().map(|it| it.path().exists()), [true, true, false, false]);
}

#[test]
fn what_comes_into_use_between_the_plan_and_the_sweep_stays() {
    let (_folder, shelf) = shelf();
    let (leased, replaced, held) = (place(&shelf, b"leased"), place(&shelf, b"used"), place(&shelf, b"held"));
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let forget_use = |digest: &Sha256| {
        let path = shelf.root().join("leases").join(digest.to_string());
        File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    };
    for digest in [leased.digest(), replaced.digest(), held.digest()] {
        forget_use(&digest);
        File::open(shelf.object(&digest).unwrap().unwrap().path()).unwrap().set_modified(old).unwrap();
    }
    let planned = plan(&Inventory::take(&shelf).unwrap(), &Keep::default(), &all_old());
    assert_eq!(planned.drops.len(), 3);
    drop(shelf.lease(&leased.digest()).unwrap());
    // Of this use nothing tells but the lock itself.
    let _lease = shelf.lease(&held.digest()).unwrap();
    forget_use(&held.digest());
    place(&shelf, b"used");
    let swept = sweep(&shelf, &planned);
    assert_eq!((swept.objects, swept.in_use), (0, 3));
    assert!([leased, replaced, held].iter().all(|it| it.path().exists()));
}

#[test]
fn a_lease_holds_across_processes_and_ends_with_a_killed_one() {
    let (_folder, shelf) = shelf();
    let object = place(&shelf, b"weights");
    let lease = shelf.root().join("leases").join(object.digest().to_string());
    // `flock` takes the lock that a reading hallmark takes, in a process of its own.
    let mut reader = Command::new("flock")
        .args(["--shared", "--no-fork"])
        .arg(&lease)
        .args(["sh", "-c", "echo reading; exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(reader.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "reading\n");
    assert!(shelf.is_leased(&object.digest()).unwrap());
    assert_eq!(collect(&shelf, &Keep::default()).objects, 0);
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert!(!shelf.is_leased(&object.digest()).unwrap());
    assert_eq!(collect(&shelf, &Keep::default()).objects, 1);
    assert!(!object.path().exists() && !lease.exists());
}

#[test]
fn stale_partials_that_nobody_holds_and_old_quarantine_go_and_a_dry_run_says_how_much() {
    let (_folder, shelf) = shelf();
    fs::write(shelf.partials().join("half"), b"12345").unwrap();
    fs::create_dir(shelf.partials().join("parts")).unwrap();
    fs::write(shelf.partials().join("parts/1"), b"123").unwrap();
    let wrong = shelf.partials().join("wrong");
    fs::write(&wrong, b"wrong").unwrap();
    let Err(vault::verify::VerifyError::Refused(refused)) = verify_file(&wrong, Sha256::of(b"right"), 5)
    else {
        panic!("wrong bytes were taken for right ones");
    };
    shelf.quarantine(&refused, UnixSeconds(10)).unwrap();
    let planned = plan(&Inventory::take(&shelf).unwrap(), &Keep::default(), &all_old());
    assert_eq!((planned.partials.len(), planned.quarantine.len(), planned.freed_bytes), (2, 1, 13));
    assert!(shelf.partials().join("half").exists());
    let held = File::open(shelf.partials().join("half")).unwrap();
    held.lock().unwrap();
    let swept = sweep(&shelf, &planned);
    assert_eq!((swept.partials, swept.in_use, swept.quarantine, swept.freed_bytes), (1, 1, 1, 8));
    drop(held);
    assert_eq!(sweep(&shelf, &planned).partials, 1);
    assert_eq!(fs::read_dir(shelf.partials()).unwrap().count(), 0);
    assert_eq!(shelf.quarantined(&Sha256::of(b"right")).unwrap(), []);
}

#[test]
fn several_writers_of_one_object_and_a_collector_leave_it_whole_or_gone() {
    let (_folder, shelf) = shelf();
    let digest = Sha256::of(b"weights");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..30 {
                    let _lease = shelf.lease(&digest).unwrap();
                    let object = place(&shelf, b"weights");
                    assert_eq!(fs::read(object.path()).unwrap(), b"weights", "a leased object was collected");
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..60 {
                let inventory = Inventory { partials: Vec::new(), ..Inventory::take(&shelf).unwrap() };
                sweep(&shelf, &plan(&inventory, &Keep::default(), &all_old()));
            }
        });
    });
    for object in shelf.objects().unwrap() {
        assert_eq!(fs::read(object.unwrap().path()).unwrap(), b"weights");
    }
}

#[test]
fn services_of_the_group_may_read_objects_and_nobody_may_write_them() {
    let (_folder, shelf) = shelf();
    let object = place(&shelf, b"weights");
    let mode = |it: &Path| fs::metadata(it).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(object.path()), 0o440);
    assert_eq!(mode(object.path().parent().unwrap()), 0o750);
    assert_eq!(mode(&shelf.root().join("quarantine")), 0o700);
}

#[test]
fn a_look_inside_real_artifacts_finds_their_tensors() {
    let Some(folder) = peers::require("artifacts", "a look inside real artifacts") else { return };
    let silero = folder.join("silero_vad_16k.safetensors");
    let found = inspect(&silero, "silero_vad_16k.safetensors").unwrap();
    assert_eq!((found.format, found.flaws.as_slice()), (Format::Safetensors, &[][..]));
    assert!(found.tensors > 0 && found.parameters * 4 < 1_239_748 && found.dtypes.contains_key("F32"));
    let onnx = inspect(&folder.join("silero_vad.onnx"), "silero_vad.onnx").unwrap();
    assert_eq!((onnx.format, onnx.flaws.as_slice()), (Format::Onnx, &[][..]));
    let minilm = inspect(&folder.join("minilm/model.safetensors"), "model.safetensors").unwrap();
    assert_eq!((minilm.tensors, minilm.flaws.as_slice()), (104, &[][..]));
    assert_eq!(minilm.parameters, 22_713_728);
    let disguised = inspect(&folder.join("silero_vad.onnx"), "silero_vad.safetensors").unwrap();
    assert_eq!(disguised.flaws, [Flaw::Disguised { named: Format::Safetensors, found: Format::Onnx }]);
}

const WRITE_GGUF: &str = r#"
import sys, numpy
from gguf import GGUFWriter, GGMLQuantizationType
writer = GGUFWriter(sys.argv[1], "llama")
writer.add_block_count(1)
writer.add_token_list(["a", "b", "c"])
writer.add_array("nested.numbers", [1, 2, 3])
writer.add_tensor("token_embd.weight", numpy.zeros((4, 32), dtype=numpy.float32))
writer.add_tensor("output.weight", numpy.zeros((4, 32), dtype=numpy.float16))
writer.add_tensor("blk.0.weight", numpy.zeros((2, 34), dtype=numpy.uint8), raw_dtype=GGMLQuantizationType.Q8_0)
writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
"#;

#[test]
fn a_gguf_file_of_the_real_writer_is_counted_and_a_cut_one_is_flawed() {
    let Some(python) = peers::require("gguf/bin/python", "a look inside a file of the real GGUF writer")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let output = Command::new(python).args(["-c", WRITE_GGUF]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = inspect(&path, "m.gguf").unwrap();
    assert_eq!((found.format, found.flaws.as_slice()), (Format::Gguf, &[][..]));
    assert_eq!((found.tensors, found.parameters), (3, 128 + 128 + 64));
    assert_eq!(found.architecture.as_deref(), Some("llama"));
    let dtypes = found.dtypes.iter().map(|(name, count)| (name.as_str(), *count)).collect::<Vec<_>>();
    assert_eq!(dtypes, [("F16", 1), ("F32", 1), ("Q8_0", 1)]);
    let bytes = fs::read(&path).unwrap();
    for cut in [bytes.len() - 65, bytes.len() / 2, 100, 20, 5] {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(inspect(&path, "m.gguf").unwrap().flaws.len(), 1, "{cut}");
    }
    fs::write(&path, [&bytes[..], &[0; 64]].concat()).unwrap();
    assert!(matches!(inspect(&path, "m.gguf").unwrap().flaws[..], [Flaw::WrongSize { .. }]));
}
