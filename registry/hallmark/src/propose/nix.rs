//! Whether Nix takes the index with the new entry in it.
//!
//! Two checks, and each says what it is. The first needs nothing but Nix: it reads the index as the module's library
//! does, finds the entry once, and makes the fixed-output path of every file, which fails for a digest or size that
//! Nix cannot use. The second evaluates what the repository's own flake makes of the new index, if that was asked for.

use std::{env, fs, path::Path, process::Stdio, time::Duration};

use anyhow::Context as _;
use base::ModelId;
use catalog::git::Standing;
use proposal::review::{Check, Verdict};
use tokio::process::Command;

use super::{checks::cut, route::Route};

/// How long one evaluation may take.
const EVALUATION_MAX: Duration = Duration::from_mins(15);

/// Reads the index and makes the path of every file of one entry.
const READS: &str = r#"
{ index, id }:
let
  found = builtins.filter (model: model.id == id) (builtins.fromJSON (builtins.readFile index)).models;
  entry = builtins.head found;
  files = [ entry.artifact ] ++ (entry.artifact.files or [ ]);
  fixed = file: (derivation {
    name = "model-file";
    system = "builtin";
    builder = "builtin:fetchurl";
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = file.sha256;
    url = "https://example.org/";
  }).outPath;
in
assert builtins.length found == 1;
map (file: assert builtins.isInt file.sizeBytes; fixed file) files
"#;

/// Evaluates the index as it shall be, in the repository as it is.
pub(super) fn evaluate(
    route: &Route,
    standing: &Standing,
    text: &str,
    id: &ModelId,
    attribute: Option<&str>,
) -> anyhow::Result<Vec<Check>> {
    let folder = tempfile::tempdir().context("make a folder for Nix")?;
    let mut checks = vec![reads(text, id.as_str(), folder.path())?];
    if let Some(attribute) = attribute {
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).context("make a folder for Nix")?;
        route.bench.export(standing.base, &tree)?;
        let index = tree.join(route.bench.path());
        fs::write(&index, text).with_context(|| format!("write {}", index.display()))?;
        checks.push(flake(&tree, attribute)?);
    }
    Ok(checks)
}

/// Lets Nix read an index, and make the path of every file of an entry.
pub(crate) fn reads(text: &str, id: &str, folder: &Path) -> anyhow::Result<Check> {
    let name = "Nix reads the entry";
    if !is_installed("nix-instantiate") {
        return Ok(Check::new(name, Verdict::Skipped, "Nix is not installed where this ran"));
    }
    let (index, expression) = (folder.join("index.json"), folder.join("reads.nix"));
    fs::write(&index, text).and_then(|()| fs::write(&expression, READS)).context("write what Nix reads")?;
    let mut command = Command::new("nix-instantiate");
    // No store is needed to evaluate, so neither is a daemon or the right to write to one.
    command.args(["--store", "dummy://", "--eval", "--strict", "--json", "--argstr", "index"]);
    command.arg(&index).args(["--argstr", "id", id]).arg(&expression);
    let passed = "the index parses, the entry is there once, and every file has its fixed-output path";
    ran(name, command, passed)
}

/// Evaluates an attribute of a flake.
fn flake(tree: &Path, attribute: &str) -> anyhow::Result<Check> {
    let name = format!("NixOS evaluation of {attribute}");
    if !is_installed("nix") {
        return Ok(Check::new(name, Verdict::Skipped, "Nix is not installed where this ran"));
    }
    let mut command = Command::new("nix");
    command.args([
        "--extra-experimental-features",
        "nix-command flakes",
        "eval",
        "--no-write-lock-file",
        "--json",
    ]);
    command.arg(format!("path:{}#{attribute}", tree.display()));
    ran(&name, command, "it evaluates with the new index")
}

/// Runs an evaluation to its end, or to the end of its time.
fn ran(name: &str, mut command: Command, passed: &str) -> anyhow::Result<Check> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let output = runtime.context("start the runtime")?.block_on(async {
        let child = command.spawn().context("start Nix")?;
        Ok::<_, anyhow::Error>(tokio::time::timeout(EVALUATION_MAX, child.wait_with_output()).await)
    })?;
    Ok(match output {
        Err(_) => {
            let minutes = EVALUATION_MAX.as_secs() / 60;
            Check::new(name, Verdict::Failed, format!("it was not done within {minutes} minutes"))
        }
        Ok(Ok(output)) if output.status.success() => Check::new(name, Verdict::Passed, passed),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let why = said.find("error:").map_or(said.as_str(), |at| &said[at..]);
            Check::new(name, Verdict::Failed, cut(why))
        }
        Ok(Err(error)) => return Err(error).context("wait for Nix"),
    })
}

fn is_installed(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|it| it.join(program).is_file())
}
