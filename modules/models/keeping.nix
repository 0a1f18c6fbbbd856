# What is kept, and for how long.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  own = import ./types.nix { inherit lib; };
  days =
    default: what:
    mkOption {
      type = types.ints.unsigned;
      inherit default;
      example = 90;
      description = "For how many days ${what}.";
    };
in
{
  options.services.models.gc = {
    automatic = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to remove what nothing wants any more, at {option}`services.models.gc.dates`.";
    };

    dates = mkOption {
      type = types.either types.singleLineStr (types.listOf types.singleLineStr);
      default = "weekly";
      example = "Sun 03:00";
      description = "When to remove it, as {manpage}`systemd.time(7)` writes it.";
    };

    keepUnusedDays = days 30 "files stay that no declared model has";
    keepPartialDays = days 7 "an interrupted download stays that nothing resumes";
    keepQuarantineDays = days 30 "bytes that turned out to be wrong are kept for examination";

    sizeMax = own.nullOption own.byteCount {
      example = "500G";
      description = "What all files together may take: beyond it, unused ones go before their time, the oldest first.";
    };

    pins = mkOption {
      type = types.listOf own.modelId;
      default = [ ];
      example = [ "vishuddha-minilm-v1" ];
      description = "Models that stay, declared or not.";
    };
  };
}
