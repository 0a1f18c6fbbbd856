# Removes what nothing wants any more, from time to time.
{ config, lib, ... }:
let
  cfg = config.services.models;
  inherit (import ./where.nix { inherit lib; }) configFile stateFolder;
in
{
  config = lib.mkIf (cfg.enable && cfg.gc.automatic) {
    systemd.services.hallmark-gc = {
      description = "Remove models that nothing wants any more";
      after = [ "hallmark.service" ];
      unitConfig.RequiresMountsFor = [
        cfg.modelStorePath
        cfg.huggingFace.cacheDir
      ];
      startAt = cfg.gc.dates;
      serviceConfig = cfg.serviceConfig // {
        Type = "oneshot";
        ExecStart = "${lib.getExe cfg.package} gc --config ${configFile} --state ${stateFolder}";
      };
    };
    systemd.timers.hallmark-gc.timerConfig = {
      Persistent = true;
      RandomizedDelaySec = "1h";
    };
  };
}
