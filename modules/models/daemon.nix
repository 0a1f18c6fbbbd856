# The daemon: its unit, its socket, its user, its folders.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.models;
  hardening = import ./hardening.nix;
  inherit (import ./where.nix { inherit lib; }) configFile inside socketAddress stateFolder;
  isAny = lib.elem cfg.listenAddress [
    "0.0.0.0"
    "::"
  ];
  reachable = socketAddress (if isAny then "127.0.0.1" else cfg.listenAddress) cfg.port;

  folders = [
    cfg.modelStorePath
    cfg.huggingFace.cacheDir
  ];
  # systemd makes the usual places itself; tmpfiles make the others.
  isUsual = inside "/var/lib/models";
  elsewhere = lib.filter (folder: !isUsual folder) folders;

  credentials =
    lib.mapAttrsToList (name: file: "${name}:${toString file}")
      (
        lib.filterAttrs (_: file: file != null) {
          hub-token = cfg.huggingFace.tokenFile;
          read-token = cfg.readTokenFile;
          operator-token = cfg.operatorTokenFile;
          signing-key = cfg.signingKeyFile;
        }
      );
in
{
  options.services.models.serviceConfig = lib.mkOption {
    internal = true;
    readOnly = true;
    type = lib.types.attrs;
    description = "What the units that work on the models have in common.";
    default =
      hardening.daemon
      // {
        User = cfg.user;
        Group = cfg.group;
        StateDirectory = [ "hallmark" ] ++ lib.optional (lib.any isUsual folders) "models";
        StateDirectoryMode = "0750";
        ReadWritePaths = elsewhere;
      }
      // lib.filterAttrs (_: it: it != null) {
        MemoryMax = cfg.memoryMax;
        IOWeight = cfg.ioWeight;
      };
  };

  config = lib.mkIf cfg.enable {
    systemd.services.hallmark = {
      description = "Hallmark, the registry of this host's models";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      requires = [ "hallmark.socket" ];
      after = [
        "network-online.target"
        "hallmark.socket"
      ];
      unitConfig.RequiresMountsFor = folders;
      startLimitIntervalSec = 0;

      # A new index or config is taken while clients are served and downloads go on.
      reloadTriggers = [ cfg.files.config ] ++ lib.optional (cfg.files.index != null) cfg.files.index;
      # These are read once, at the start.
      restartTriggers =
        map (section: builtins.toJSON (cfg.settings.${section} or { })) [
          "http"
          "ledger"
        ]
        ++ folders
        ++ credentials;

      serviceConfig = cfg.serviceConfig // {
        # Ready as soon as it serves; what it downloads comes after that.
        Type = "notify";
        ExecStart = "${lib.getExe cfg.package} serve --config ${configFile} --state ${stateFolder}";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        LoadCredential = credentials;
        WatchdogSec = 60;
        # From one second to five minutes, and for ever.
        Restart = "on-failure";
        RestartSec = 1;
        RestartSteps = 8;
        RestartMaxDelaySec = 300;
        # Ten seconds for what runs, see [http] stop_seconds_max, and some more.
        TimeoutStopSec = 30;
      };
    };

    systemd.sockets.hallmark = {
      description = "Where hallmark is reached";
      wantedBy = [ "sockets.target" ];
      listenStreams = [ (socketAddress cfg.listenAddress cfg.port) ];
      socketConfig = {
        NoDelay = true;
        Backlog = 4096;
        # A host may listen on an address that it gets later.
        FreeBind = true;
      };
    };

    systemd.tmpfiles.settings."10-hallmark" = lib.genAttrs elsewhere (_: {
      d = {
        mode = "0750";
        inherit (cfg) user group;
      };
    });

    users.users = lib.optionalAttrs (cfg.user == "hallmark") {
      hallmark = {
        isSystemUser = true;
        inherit (cfg) group;
        home = stateFolder;
        description = "Hallmark, the registry of models";
      };
    };
    users.groups = lib.optionalAttrs (cfg.group == "hallmark" || cfg.user == "hallmark") {
      ${cfg.group} = { };
    };

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.port ];
    nix.settings.hashed-mirrors = lib.mkIf cfg.hashedMirror [
      "http://${reachable}/"
    ];
    environment.systemPackages = [ cfg.package ];
  };
}
