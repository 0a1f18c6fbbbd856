# evalSystem { modules, pkgs }: a NixOS configuration made of the stand-in's options and the given modules.
{ lib }:
{
  modules,
  pkgs,
  specialArgs ? { },
}:
lib.evalModules {
  class = "nixos";
  inherit specialArgs;
  modules = modules ++ [
    (import ./options.nix { inherit lib; })
    (
      { config, ... }:
      let
        failed = map (it: it.message) (lib.filter (it: !it.assertion) config.assertions);
      in
      {
        _module.args.pkgs = pkgs;
        system.build.toplevel =
          if failed != [ ] then
            throw "Failed assertions:\n${lib.concatMapStringsSep "\n" (it: "- ${it}") failed}"
          else
            pkgs.writeText "nixos-system" (
              builtins.toJSON { inherit (config.systemd) services sockets paths targets; }
            );
      }
    )
  ];
}
