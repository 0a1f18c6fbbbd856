# Which models that makes, and what other modules may refer to: their paths, and units that wait for them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.models;
  inherit (import ../lib/index.nix { inherit lib; }) readIndex;
  hardening = import ./hardening.nix;
  inherit (import ./where.nix { inherit lib; }) stateFolder;

  known = readIndex cfg.indexText;
  isReal = _: model: model.stubReasons == [ ];
  listed =
    if cfg.deployedModels != "all" then
      cfg.deployedModels
    else if cfg.indexText != null then
      lib.attrNames (lib.filterAttrs isReal known)
    else
      [ ];

  service = id: "hallmark-model@${id}.service";
in
{
  options.services.models = {
    wantedModels = mkOption {
      type = types.listOf types.str;
      readOnly = true;
      example = [ "vishuddha-minilm-v1" ];
      default = lib.unique (listed ++ lib.concatLists (lib.attrValues cfg.chakraModels));
      defaultText = literalExpression "the ids of deployedModels and chakraModels";
      description = ''
        The ids of all models that this host wants. If {option}`services.models.deployedModels` is `"all"` and the
        index is not a file of this configuration, they are not known and this list has those of
        {option}`services.models.chakraModels` alone.
      '';
    };

    paths = mkOption {
      type = types.attrsOf types.str;
      readOnly = true;
      default = lib.genAttrs cfg.wantedModels (id: "${cfg.modelStorePath}/${id}");
      defaultText = literalExpression ''{ <id> = "''${config.services.models.modelStorePath}/<id>"; … }'';
      example = literalExpression ''"''${config.services.models.paths.vishuddha-minilm-v1}/model.safetensors"'';
      description = ''
        Where each wanted model will stand, for other modules to refer to. The folder appears when all of the model's
        files are there and proven; a unit that needs it is ordered after `hallmark-model@<id>.target`, or after
        `models.target`, which stands for all of them.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    # A model's folder appears whole or not at all. Where it is not there yet the daemon is asked to say when; where it
    # is, an earlier version too, nobody has to be asked.
    systemd.services."hallmark-model@" = {
      description = "Wait for model %i";
      unitConfig.RequiresMountsFor = [ cfg.modelStorePath ];
      # Each model asks whether it was the last one, and waits for no answer. The target below must not: a target comes
      # after what it wants.
      wants = [ "models.target" ];
      # A switch that restarted one that waits would wait with it.
      restartIfChanged = false;
      serviceConfig = hardening.waiter // {
        Type = "oneshot";
        RemainAfterExit = true;
        User = cfg.user;
        Group = cfg.group;
        TimeoutStartSec = "infinity";
        ExecStart = "${pkgs.writeShellScript "wait-for-model" ''
          [ -e ${lib.escapeShellArg cfg.modelStorePath}"/$1" ] ||
            exec ${lib.getExe cfg.package} wait --keep-waiting --state ${stateFolder} "$1"
        ''} %i";
      };
    };

    # What a consumer names. A target, since a switch starts what active targets have come to want.
    systemd.targets."hallmark-model@" = {
      description = "Model %i is deployed";
      requires = [ "hallmark-model@%i.service" ];
      after = [ "hallmark-model@%i.service" ];
    };

    # systemd itself looks out for the folder: no switch, and no boot, waits for a download.
    systemd.paths."hallmark-model@" = {
      description = "Look out for model %i";
      pathConfig = {
        PathExists = "${cfg.modelStorePath}/%i";
        Unit = "hallmark-model@%i.target";
      };
    };

    systemd.targets.models = {
      description = "All declared models are deployed";
      requires = map service cfg.wantedModels;
      after = map service cfg.wantedModels;
      # A switch to more models must not start it again, and so wait for them.
      unitConfig.X-OnlyManualStart = true;
    };

    systemd.targets.multi-user.wants = map (id: "hallmark-model@${id}.path") cfg.wantedModels;
  };
}
