//! The shape of the workspace: which crate may lean on which, and who owns which dependency.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Every arrow that is allowed; all of them point down.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("catalog", &["base"]),
    ("vault", &["base"]),
    ("proposal", &["base", "catalog"]),
    ("ledger", &["base"]),
    ("training", &["base"]),
    ("lineage", &["base"]),
    ("commons", &["base", "ledger", "lineage"]),
    ("hallmark", &["base", "catalog", "vault", "ledger", "lineage", "commons", "proposal", "training"]),
];

/// Crates that decide, and that touch neither the network nor the disk.
const PURE: &[&str] = &["base", "lineage", "commons", "training"];

/// What a pure crate must not reach, by however many steps. What `ledger` may use does not count against
/// the crates above it: they take its types, and their own code still reaches nothing of this.
const IMPURE: &[&str] = &["tokio", "reqwest", "rusqlite", "git2", "notify"];

/// What only the daemon may name.
const DAEMON_ONLY: &[&str] = &["axum", "clap", "anyhow"];

#[test]
fn every_arrow_between_crates_points_down() {
    for (name, member) in &workspace().members {
        let allowed = ARROWS.iter().find(|(it, _)| it == name).map(|(_, allowed)| *allowed);
        let allowed = allowed.unwrap_or_else(|| panic!("{name} has no place in the design's list of arrows"));
        for dependency in member.dependencies.iter().filter(|it| it.is_member) {
            assert!(
                allowed.contains(&dependency.name.as_str()),
                "{name} must not lean on {}: it may use {allowed:?}",
                dependency.name
            );
        }
    }
}

#[test]
fn catalog_and_vault_never_meet() {
    let workspace = workspace();
    for (one, other) in [("catalog", "vault"), ("vault", "catalog")] {
        let reached = workspace.reached_from(one, &[]);
        assert!(!reached.contains(other), "{one} reaches {other}");
    }
}

#[test]
fn pure_crates_reach_no_runtime_no_network_and_no_database() {
    let workspace = workspace();
    for name in PURE {
        let reached = workspace.reached_from(name, &["ledger"]);
        for impure in IMPURE {
            assert!(!reached.contains(*impure), "{name} is pure, yet it reaches {impure}");
        }
    }
}

#[test]
fn http_serving_and_the_command_line_stay_in_the_daemon() {
    for (name, member) in workspace().members {
        for dependency in member.dependencies.iter().filter(|_| name != "hallmark") {
            assert!(
                !DAEMON_ONLY.contains(&dependency.name.as_str()),
                "{name} names {}, which belongs to hallmark alone",
                dependency.name
            );
        }
    }
}

#[test]
fn every_crate_takes_its_lints_and_versions_from_the_workspace() {
    for (name, member) in workspace().members {
        let text = fs::read_to_string(&member.manifest).expect("the manifest can be read");
        let manifest: toml::Table = text.parse().expect("the manifest is TOML");
        assert!(inherits(manifest.get("lints")), "{name} needs [lints] workspace = true");
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            let inherited = manifest["package"].get(field);
            assert!(inherits(inherited), "{name} needs package.{field}.workspace = true");
        }
        for (section, dependencies) in dependency_tables(&manifest) {
            for (dependency, wanted) in dependencies {
                assert!(
                    inherits(Some(wanted)),
                    "{name}: {section}.{dependency} has a version of its own; move it to the workspace"
                );
            }
        }
    }
}

/// The workspace as cargo sees it.
struct Workspace {
    members: BTreeMap<String, Member>,
    /// The names of the packages, and what each leans on when it is built for use, by package id.
    graph: BTreeMap<String, (String, BTreeSet<String>)>,
}

struct Member {
    id: String,
    manifest: PathBuf,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    is_member: bool,
}

impl Workspace {
    /// Lists the names of everything that a member's library leans on, by however many steps. The walk does
    /// not enter the packages in `shut`.
    fn reached_from(&self, member: &str, shut: &[&str]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut queue = vec![self.members[member].id.as_str()];
        while let Some(id) = queue.pop() {
            let (name, dependencies) = &self.graph[id];
            if seen.insert(id) && !shut.contains(&name.as_str()) {
                names.insert(name.clone());
                queue.extend(dependencies.iter().map(String::as_str));
            }
        }
        names
    }
}

fn workspace() -> Workspace {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages are listed");
    let member_ids: Vec<&str> = array(&metadata["workspace_members"]).iter().map(text).collect();
    let (mut members, mut names) = (BTreeMap::new(), BTreeMap::new());
    for package in packages {
        names.insert(text(&package["id"]), text(&package["name"]));
    }
    for package in packages.iter().filter(|it| member_ids.contains(&text(&it["id"]))) {
        members.insert(text(&package["name"]).to_owned(), member(package));
    }
    let nodes = array(&metadata["resolve"]["nodes"]).iter();
    let graph = nodes
        .map(|node| {
            let id = text(&node["id"]);
            (id.to_owned(), (names[id].to_owned(), used_by(node)))
        })
        .collect();
    Workspace { members, graph }
}

fn member(package: &Value) -> Member {
    let dependencies = array(&package["dependencies"]).iter().map(|it| Dependency {
        name: text(&it["name"]).to_owned(),
        is_member: it.get("path").is_some_and(Value::is_string),
    });
    Member {
        id: text(&package["id"]).to_owned(),
        manifest: text(&package["manifest_path"]).into(),
        dependencies: dependencies.collect(),
    }
}

/// Lists the packages that a package leans on when it is used, not when it is tested or built.
fn used_by(node: &Value) -> BTreeSet<String> {
    let used = array(&node["deps"])
        .iter()
        .filter(|it| array(&it["dep_kinds"]).iter().any(|it| it["kind"].is_null()));
    used.map(|it| text(&it["pkg"]).to_owned()).collect()
}

fn metadata() -> Value {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        // For this platform alone: the crates of the others need not be on the machine.
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            &host(),
            "--manifest-path",
        ])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn host() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let about = String::from_utf8(output.stdout).expect("rustc prints text");
    about.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

fn dependency_tables(manifest: &toml::Table) -> Vec<(String, &toml::Table)> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let mut tables = Vec::new();
    collect_tables("", manifest, &sections, &mut tables);
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    for (target, table) in targets.into_iter().flatten() {
        if let Some(table) = table.as_table() {
            collect_tables(&format!("target.{target}."), table, &sections, &mut tables);
        }
    }
    tables
}

fn collect_tables<'t>(
    place: &str,
    table: &'t toml::Table,
    sections: &[&str],
    tables: &mut Vec<(String, &'t toml::Table)>,
) {
    for section in sections {
        if let Some(found) = table.get(*section).and_then(toml::Value::as_table) {
            tables.push((format!("{place}{section}"), found));
        }
    }
}

fn inherits(value: Option<&toml::Value>) -> bool {
    value.and_then(|it| it.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
