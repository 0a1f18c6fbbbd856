# What services.models is made of. `defaultPackage` gives the hallmark for a `pkgs`.
{ defaultPackage }:
{ lib, ... }:
{
  # Imported by both ways at once, it is still one module.
  key = "hallmark/services.models";
  imports = [
    (lib.modules.importApply ./options.nix { inherit defaultPackage; })
    ./access.nix
    ./policy.nix
    ./keeping.nix
    ./wanted.nix
    ./settings.nix
    ./judgement.nix
    ./soundness.nix
    ./daemon.nix
    ./upkeep.nix
  ];
}
