# A tiny pkgs: real derivations whose only tool is the machine's own shell, so that small ones can also be built.
# Packages are hollow; `hallmark`, the path of a program, makes that one real.
{
  lib,
  system ? "x86_64-linux",
  hallmark ? null,
}:
let
  run =
    name: env: script:
    derivation (
      {
        inherit name system;
        builder = "/bin/sh";
        args = [
          "-euc"
          script
        ];
        PATH = "/usr/local/bin:/usr/bin:/bin";
      }
      // env
    )
    // {
      pname = name;
      meta.mainProgram = name;
    };
  hollow = name: run name { } "mkdir $out";
  text = name: contents: run name { inherit contents; } ''printf %s "$contents" > $out'';

  # TOML takes JSON's scalars and lists as they are; a table is written by its path.
  toToml =
    path: table:
    let
      tables = lib.filterAttrs (_: lib.isAttrs) table;
      values = lib.filterAttrs (_: value: !(lib.isAttrs value)) table;
      line = key: value: "${builtins.toJSON key} = ${builtins.toJSON value}\n";
      head = lib.concatMapStringsSep "." builtins.toJSON path;
    in
    lib.optionalString (path != [ ]) "[${head}]\n"
    + lib.concatStrings (lib.mapAttrsToList line values)
    + lib.concatStrings (lib.mapAttrsToList (key: toToml (path ++ [ key ])) tables);

  packages = lib.genAttrs [
    "cargo"
    "clippy"
    "curl"
    "deadnix"
    "git"
    "jq"
    "nix"
    "nixfmt"
    "nixfmt-tree"
    "openssl"
    "perl"
    "pkg-config"
    "rust-analyzer"
    "rustc"
    "rustfmt"
  ] hollow;
in
packages
// rec {
  inherit lib system;
  stdenv = {
    hostPlatform = {
      inherit system;
      isLinux = lib.hasSuffix "-linux" system;
      isDarwin = lib.hasSuffix "-darwin" system;
    };
    buildPlatform.canExecute = _: true;
  };
  callPackage = lib.callPackageWith (packages // { inherit lib stdenv rustPlatform; });
  rustPlatform.buildRustPackage =
    args:
    let
      lock = builtins.fromTOML (builtins.readFile args.cargoLock.lockFile);
      isFromGit = package: lib.hasPrefix "git+" (package.source or "");
      unlocked = lib.filter isFromGit lock.package;
      package =
        if hallmark == null then
          hollow "hallmark"
        else
          run "hallmark" { } "mkdir -p $out/bin && ln -s ${hallmark} $out/bin/hallmark";
    in
    assert lib.assertMsg (unlocked == [ ]) "Cargo.lock has git dependencies without a hash";
    package
    // {
      inherit (args) meta pname version;
      source = "${args.src}";
      overrideAttrs = change: package // { changed = change args; };
    };
  mkShell = args: run "shell" { packages = map toString args.packages; } "echo $packages > $out";

  runCommand = run;
  writeText = text;
  writeShellScript = name: script: run name { contents = "#!/bin/sh\n${script}"; } ''
    printf %s "$contents" > $out
    chmod +x $out
  '';
  writeShellScriptBin = name: script: run name { contents = "#!/bin/sh\n${script}"; } ''
    mkdir -p $out/bin
    printf %s "$contents" > $out/bin/${name}
    chmod +x $out/bin/${name}
  '';
  writeShellApplication = { name, text, ... }: writeShellScriptBin name text;
  linkFarm =
    name: entries:
    run name { } (
      "mkdir $out\n"
      + lib.concatMapStrings (it: ''
        mkdir -p "$(dirname "$out/${it.name}")"
        ln -s ${it.path} "$out/${it.name}"
      '') entries
    );
  formats.toml = _: {
    type =
      let
        value = lib.types.oneOf [
          lib.types.bool
          lib.types.int
          lib.types.float
          lib.types.str
          lib.types.path
          (lib.types.attrsOf value)
          (lib.types.listOf value)
        ];
      in
      value // { description = "TOML value"; };
    generate = name: value: text name (toToml [ ] value);
  };

  # Programs of the machine, so that what a unit names is there.
  coreutils = "/usr";
  runtimeShell = "/bin/sh";
}
