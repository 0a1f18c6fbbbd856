# What `nix flake check` builds: the package and its tests, lints, the example host's units, the index, the options'
# page, and the VM tests.
{
  self,
  lib,
  pkgs,
  hallmark,
}:
let
  example = self.nixosConfigurations.example.config;
  lint =
    name: tools: command:
    hallmark.overrideAttrs (old: {
      pname = "hallmark-${name}";
      nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ tools;
      buildPhase = command;
      doCheck = false;
      installPhase = "touch $out";
    });
  isTest = name: kind: kind == "regular" && lib.hasSuffix ".nix" name;
  vmTests = lib.mapAttrs' (
    name: _:
    lib.nameValuePair "vm-${lib.removeSuffix ".nix" name}" (
      pkgs.testers.runNixOSTest (import (./tests + "/${name}") { module = self.nixosModules.default; })
    )
  ) (lib.filterAttrs isTest (builtins.readDir ./tests));
in
{
  package = hallmark;
  clippy = lint "clippy" [ pkgs.clippy ] "cargo clippy --workspace --all-targets --offline -- -D warnings";
  fmt = lint "fmt" [ pkgs.rustfmt ] "cargo fmt --all --check";

  module = pkgs.writeText "units.json" (
    builtins.toJSON {
      service = example.systemd.services.hallmark.serviceConfig;
      socket = example.systemd.sockets.hallmark.listenStreams;
    }
  );
  config = example.services.models.files.config;
  index = example.services.models.files.index;

  options-page = pkgs.runCommand "options-page" { } ''
    diff -u ${./OPTIONS.md} ${self.packages.${pkgs.stdenv.hostPlatform.system}.options} || {
      echo "modules/OPTIONS.md is not current: cp \$(nix build --print-out-paths .#options) modules/OPTIONS.md" >&2
      exit 1
    }
    touch $out
  '';
}
// vmTests
