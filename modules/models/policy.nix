# What models have to be to be deployed here. Without any of it nothing is asked.
{ lib, ... }:
let
  inherit (lib) types;
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
  };
}
