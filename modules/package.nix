# Hallmark from this tree. `pkgs.callPackage ./modules/package.nix { }` is all that it takes.
{
  lib,
  rustPlatform,
  pkg-config,
  perl,
  openssl,
  git,
}:
let
  root = ../.;
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);
  # What the build and its tests read; a change elsewhere builds nothing anew.
  kept = [
    "Cargo.toml"
    "Cargo.lock"
    ".cargo"
    ".clippy.toml"
    ".rustfmt.toml"
    ".config"
    "index.json"
    "registry"
    "schema"
    "tests"
  ];
  isKept =
    path: _type:
    let
      relative = lib.removePrefix "${toString root}/" (toString path);
    in
    lib.elem (lib.head (lib.splitString "/" relative)) kept;
in
rustPlatform.buildRustPackage {
  pname = "hallmark";
  inherit (manifest.workspace.package) version;

  # lib.fileset would read better, but needs Nix 2.15.
  src = lib.cleanSourceWith {
    src = root;
    filter = isKept;
    name = "hallmark-source";
  };
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [
    pkg-config
    perl
  ];
  buildInputs = [ openssl ];
  # OpenSSL, which libgit2 uses for ssh, gets its fixes from nixpkgs.
  env.OPENSSL_NO_VENDOR = 1;

  # Every test stays on this machine; one that misses a program says so and passes.
  nativeCheckInputs = [
    git
    openssl
  ];

  meta = {
    description = "The model registry that a NixOS fleet can trust";
    license = lib.licenses.asl20;
    mainProgram = "hallmark";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
