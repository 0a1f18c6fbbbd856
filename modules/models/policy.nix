# What models have to be to be deployed here. Without any of it nothing is asked.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
  own = import ./types.nix { inherit lib; };
in
{
  options.services.models.policy = {
    licenses = own.nullOption (types.listOf types.nonEmptyStr) {
      example = [
        "Apache-2.0"
        "MIT"
      ];
      description = ''
        The licences that models may have, as SPDX ids. A model whose licence expression they do not satisfy is held:
        fetched and proven, but not deployed. `null` asks about no licence.
      '';
    };

    formats =
      own.nullOption
        (types.listOf (
          types.enum [
            "safetensors"
            "gguf"
            "onnx"
            "pytorch"
            "unknown"
          ]
        ))
        {
          example = [
            "safetensors"
            "gguf"
          ];
          description = ''
            What files may be inside, whatever they are called. Loading `pytorch` runs what the file says; `unknown` is
            everything that hallmark cannot tell. `null` asks about no format.
          '';
        };

    sizeMax = own.nullOption own.byteCount {
      example = "20G";
      description = "How large a model may be, all its files together. A larger one is not even fetched.";
    };

    sources = own.nullOption (types.listOf own.origin) {
      example = [ "https://huggingface.co" ];
      description = ''
        The origins that files may be fetched from; seeds on this machine always may. `null` asks about no origin,
        unless {option}`services.models.huggingFace.enable` is `false`.
      '';
    };

    lineage = {
      item =
        own.nullOption (types.either (types.enum [ "default" ]) (types.either own.eventId types.path))
          {
            example = "default";
            description = ''
              The card that judges what a model rests on, over the daemon's log of signed events: `"default"` for the
              one that hallmark ships (`schema/gate.md` explains it line by line), a file, or the id of a card's event.
              A model that does not pass is held, with the feature that falls short. `null` asks about nothing.
            '';
          };

      model = own.nullOption types.path {
        example = literalExpression "./gate-model.json";
        description = "The model that judges by a card of one's own; unless set, the newest of that name in the log.";
      };

      trusted = mkOption {
        type = types.listOf own.address;
        default = [ ];
        example = [ "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f" ];
        description = ''
          Whose votes, validations and other events count besides this host's own: addresses, as
          {command}`hallmark key show` prints them.
        '';
      };

      minScore = own.nullOption types.number {
        example = 0.7;
        description = "The least score.";
      };

      requireLabel = own.nullOption types.nonEmptyStr {
        example = "trusted";
        description = "The label that the card has to come to. The default card asks for `trusted` by itself.";
      };

      onFail = mkOption {
        type = types.enum [
          "hold"
          "keep-previous"
        ];
        default = "hold";
        example = "keep-previous";
        description = ''
          What becomes of a model that does not pass: nothing of it is shown (`"hold"`), or what is deployed of it stays
          and nothing new is shown (`"keep-previous"`).
        '';
      };
    };
  };
}
