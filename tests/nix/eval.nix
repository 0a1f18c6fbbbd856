# The module in nixpkgs' real module system, with the stand-in for the rest of NixOS.
#   nix-instantiate --eval --strict --json tests/nix/eval.nix --arg libPath PATH --arg config FILE -A report
{
  libPath,
  config ? { },
  module ? ../../modules/models/hf-integration.nix,
  hallmark ? null,
}:
let
  lib = import libPath;
  pkgs = import ./standin/pkgs.nix { inherit lib hallmark; };
  system = import ./standin/system.nix { inherit lib; } {
    inherit pkgs;
    modules = lib.toList module ++ [ config ];
  };
  cfg = system.config;
  units = import ./units.nix { inherit lib; } cfg.systemd;
in
{
  inherit lib pkgs units;
  inherit (system) options config;
  inherit (cfg.services.models) files;
  failed = map (it: it.message) (lib.filter (it: !it.assertion) cfg.assertions);
  report = {
    failed = map (it: it.message) (lib.filter (it: !it.assertion) cfg.assertions);
    inherit (cfg) warnings;
    inherit units;
    settings = cfg.services.models.settings;
    inherit (cfg.services.models) paths;
    tmpfiles = cfg.systemd.tmpfiles.settings;
    users = lib.mapAttrs (_: user: { inherit (user) isSystemUser group home; }) cfg.users.users;
    groups = lib.attrNames cfg.users.groups;
    firewall = cfg.networking.firewall.allowedTCPPorts;
    nix = cfg.nix.settings;
    etc = lib.attrNames cfg.environment.etc;
  };
}
