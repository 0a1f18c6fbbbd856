# services.models: declares which models a host wants; hallmark fetches, proves and serves them.
#
#   imports = [ ./modules/models/hf-integration.nix ];     from a checkout: the package is built from the same tree
#   imports = [ hallmark.nixosModules.default ];           from the flake
{ lib, ... }:
{
  imports = [
    (lib.modules.importApply ./module.nix {
      defaultPackage = pkgs: pkgs.callPackage ../package.nix { };
    })
  ];
}
