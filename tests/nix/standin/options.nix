# Declarations that stand in for the parts of NixOS that a service module touches. The types are those of
# nixos/lib/systemd-unit-options.nix: repeatable options concatenate, scalars agree, Type, Restart and names are checked.
{ lib }:
let
  inherit (lib) mkOption types;

  unitOption = lib.mkOptionType {
    name = "systemd option";
    merge =
      loc: defs:
      if lib.any (d: lib.isList d.value) defs then
        lib.concatMap (d: lib.toList d.value) defs
      else
        lib.mergeEqualOption loc defs;
  };

  unitName = types.strMatching "[a-zA-Z0-9@%:_.\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)";

  hasOneOf = name: values: attrs: !(attrs ? ${name}) || lib.elem (content attrs.${name}) values;
  content = v: if lib.isAttrs v && lib.elem (v._type or "") [ "override" "if" ] then v.content else v;

  serviceConfig = types.addCheck (types.attrsOf unitOption) (
    a:
    hasOneOf "Type" [ "exec" "simple" "forking" "oneshot" "dbus" "notify" "notify-reload" "idle" ] a
    && hasOneOf "Restart" [ "no" "on-success" "on-failure" "on-abnormal" "on-abort" "always" ] a
  );

  units = mkOption { type = types.listOf unitName; default = [ ]; };
  lines = mkOption { type = types.lines; default = ""; };

  common = {
    enable = mkOption { type = types.bool; default = true; };
    description = mkOption { type = types.singleLineStr; default = ""; };
    documentation = mkOption { type = types.listOf types.str; default = [ ]; };
    wantedBy = units;
    requiredBy = units;
    upheldBy = units;
    aliases = units;
    requires = units;
    requisite = units;
    wants = units;
    upholds = units;
    after = units;
    before = units;
    bindsTo = units;
    partOf = units;
    conflicts = units;
    onFailure = units;
    onSuccess = units;
    unitConfig = mkOption { type = types.attrsOf unitOption; default = { }; };
    startLimitBurst = mkOption { type = types.nullOr types.int; default = null; };
    startLimitIntervalSec = mkOption { type = types.nullOr types.int; default = null; };
    restartTriggers = mkOption { type = types.listOf types.unspecified; default = [ ]; };
    reloadTriggers = mkOption { type = types.listOf unitOption; default = [ ]; };
  };

  service.options = common // {
    environment = mkOption {
      type = with types; attrsOf (nullOr (oneOf [ str path package ]));
      default = { };
    };
    path = mkOption { type = with types; listOf (oneOf [ package str ]); default = [ ]; };
    serviceConfig = mkOption { type = serviceConfig; default = { }; };
    script = lines;
    preStart = lines;
    postStart = lines;
    reload = lines;
    preStop = lines;
    postStop = lines;
    restartIfChanged = mkOption { type = types.bool; default = true; };
    reloadIfChanged = mkOption { type = types.bool; default = false; };
    stopIfChanged = mkOption { type = types.bool; default = true; };
    startAt = mkOption { type = with types; either str (listOf str); default = [ ]; };
  };

  withConfig = attr: {
    options = common // {
      ${attr} = mkOption { type = types.attrsOf unitOption; default = { }; };
    };
  };
  attrsOfSub = m: mkOption { type = types.attrsOf (types.submodule m); default = { }; };

  tmpfilesEntry =
    { name, ... }:
    {
      options = lib.mapAttrs (_: default: mkOption { type = types.str; inherit default; }) {
        type = name;
        mode = "-";
        user = "-";
        group = "-";
        age = "-";
        argument = "";
      };
    };
in
{
  options = {
    assertions = mkOption { type = types.listOf types.unspecified; default = [ ]; };
    warnings = mkOption { type = types.listOf types.str; default = [ ]; };
    meta = mkOption { type = types.attrsOf types.unspecified; default = { }; };

    systemd.services = attrsOfSub service;
    systemd.sockets = attrsOfSub {
      options = common // {
        listenStreams = mkOption { type = types.listOf types.str; default = [ ]; };
        socketConfig = mkOption { type = types.attrsOf unitOption; default = { }; };
      };
    };
    systemd.timers = attrsOfSub (withConfig "timerConfig");
    systemd.paths = attrsOfSub (withConfig "pathConfig");
    systemd.targets = attrsOfSub { options = common; };
    systemd.slices = attrsOfSub (withConfig "sliceConfig");
    systemd.tmpfiles.rules = mkOption { type = types.listOf types.str; default = [ ]; };
    systemd.tmpfiles.settings = mkOption {
      type = with types; attrsOf (attrsOf (attrsOf (submodule tmpfilesEntry)));
      default = { };
    };

    users.users = attrsOfSub {
      options = {
        isSystemUser = mkOption { type = types.bool; default = false; };
        packages = mkOption { type = types.listOf types.package; default = [ ]; };
        isNormalUser = mkOption { type = types.bool; default = false; };
        uid = mkOption { type = types.nullOr types.int; default = null; };
        group = mkOption { type = types.str; default = ""; };
        extraGroups = mkOption { type = types.listOf types.str; default = [ ]; };
        home = mkOption { type = types.path; default = "/var/empty"; };
        createHome = mkOption { type = types.bool; default = false; };
        description = mkOption { type = types.str; default = ""; };
      };
    };
    users.groups = attrsOfSub {
      options.gid = mkOption { type = types.nullOr types.int; default = null; };
      options.members = mkOption { type = types.listOf types.str; default = [ ]; };
    };

    networking.firewall.allowedTCPPorts = mkOption { type = types.listOf types.port; default = [ ]; };
    networking.firewall.allowedUDPPorts = mkOption { type = types.listOf types.port; default = [ ]; };
    networking.hostName = mkOption { type = types.str; default = "host"; };

    environment.systemPackages = mkOption { type = types.listOf types.package; default = [ ]; };
    environment.variables = mkOption { type = types.attrsOf types.unspecified; default = { }; };
    environment.etc = attrsOfSub (
      { name, ... }:
      {
        options = {
          enable = mkOption { type = types.bool; default = true; };
          target = mkOption { type = types.str; default = name; };
          text = mkOption { type = types.nullOr types.lines; default = null; };
          source = mkOption { type = types.nullOr types.path; default = null; };
          mode = mkOption { type = types.str; default = "symlink"; };
          user = mkOption { type = types.str; default = "+0"; };
          group = mkOption { type = types.str; default = "+0"; };
        };
      }
    );

    nix.settings = mkOption { type = types.attrsOf (types.listOf types.str); default = { }; };
    system.build = mkOption { type = types.lazyAttrsOf types.unspecified; default = { }; };
    virtualisation = mkOption { type = types.attrsOf types.unspecified; default = { }; };
    specialisation = mkOption { type = types.attrsOf types.unspecified; default = { }; };
    systemd.package = mkOption { type = types.unspecified; default = "/usr"; };
    boot = mkOption { type = types.attrsOf types.unspecified; default = { }; };
    fileSystems = mkOption { type = types.attrsOf types.unspecified; default = { }; };
    services.nginx = mkOption { type = types.attrsOf types.unspecified; default = { }; };
    system.stateVersion = mkOption { type = types.str; default = "26.05"; };
  };
}
