# What a host declares first: whether, which index, which models, from where.
{ defaultPackage }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkEnableOption
    mkOption
    types
    ;
  own = import ./types.nix { inherit lib; };
  cfg = config.services.models;
  chakras = [
    "muladhara"
    "svadhisthana"
    "manipura"
    "anahata"
    "vishuddha"
    "ajna"
    "sahasrara"
    "soma"
    "jnana"
  ];
in
{
  options.services.models = {
    enable = mkEnableOption "hallmark, which fetches the declared models, proves every byte and serves them";

    package = mkOption {
      type = types.package;
      default = defaultPackage pkgs;
      defaultText = literalExpression "hallmark, built from the tree that this module stands in";
      example = literalExpression "pkgs.hallmark";
      description = "The hallmark to run.";
    };

    indexPath = mkOption {
      type = types.either own.gitLocation types.path;
      default = ../../index.json;
      defaultText = literalExpression "the index.json that comes with hallmark";
      example = literalExpression "./models/index.json";
      description = ''
        The catalog of models: a file of this configuration, a path on the host, or a branch of a repository, written
        `git+https://host/repository#branch:path`.

        A file of this configuration is known while the system is evaluated and checked while it is built, so that
        what is wrong with it never reaches a host. The other two are followed while hallmark runs; the last good
        state stays in force.
      '';
    };

    schemaPath = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = literalExpression "./models/schema.json";
      description = ''
        Another organisation's JSON Schema for the index, in the place of hallmark's own. Without one the keys of
        {option}`services.models.chakraModels` have to be the energy centres of hallmark's schema.
      '';
    };

    strictIndex = mkOption {
      type = types.bool;
      default = cfg.indexText != null && toString cfg.indexPath != toString ../../index.json;
      defaultText = literalExpression "true for a file of this configuration; false for hallmark's own index and for one that is followed";
      example = false;
      description = ''
        Whether warnings about the index fail the build and keep a new state from being taken: placeholders, download
        URLs that follow a branch, commits that are missing. Hallmark's own index names some training commits as
        unknown, which is a warning.
      '';
    };

    deployedModels = mkOption {
      type = types.either (types.enum [ "all" ]) (types.listOf own.modelId);
      default = [ ];
      example = [ "vishuddha-minilm-v1" ];
      description = ''
        The ids of the models that this host wants, or `"all"` for every model of the index that is no stub. An id
        that a known index does not have fails the evaluation.
      '';
    };

    chakraModels = mkOption {
      type = types.attrsOf (types.listOf own.modelId);
      default = { };
      example = {
        vishuddha = [ "vishuddha-minilm-v1" ];
      };
      description = ''
        Further models that this host wants, sorted by the energy centre each is filed under. One that is filed
        elsewhere fails the evaluation.
      '';
    };

    modelStorePath = mkOption {
      type = own.hostFolder;
      default = "/var/lib/models";
      example = "/mnt/big/models";
      description = ''
        Where the models stand: `<modelStorePath>/<id>/<filename>`, readable by
        {option}`services.models.group`. A folder elsewhere is made if it is missing, and hallmark waits for its
        file system to be mounted.
      '';
    };

    verifyChecksums = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether bytes that differ from the index are refused. With `false` they are deployed on this host alone,
        marked as unverified wherever they show, and served to nobody.
      '';
    };

    huggingFace = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether models may be fetched from {option}`services.models.huggingFace.endpoint`. With `false` they come
          from {option}`services.models.seeds`, {option}`services.models.mirrors` and the origins that a known index
          names besides the Hub; nothing else is asked.
        '';
      };

      endpoint = mkOption {
        type = own.webUrl;
        default = "https://huggingface.co";
        example = "http://registry:8420";
        description = ''
          What stands in for https://huggingface.co in every download URL: a mirror of the Hub, or another hallmark.
        '';
      };

      cacheDir = mkOption {
        type = own.hostFolder;
        default = "${cfg.modelStorePath}/hf-cache";
        defaultText = literalExpression ''"''${config.services.models.modelStorePath}/hf-cache"'';
        example = "/var/lib/models/hf-cache";
        description = ''
          A Hugging Face cache of links into the model store. A client with `HF_HUB_CACHE` set to it and
          `HF_HUB_OFFLINE=1` finds the deployed models under their names on the Hub, and under `hallmark/<id>`.
        '';
      };

      tokenFile = mkOption {
        type = types.nullOr own.secretFile;
        default = null;
        example = "/run/secrets/hf-token";
        description = ''
          A file that holds the token for gated and private models, readable by root. It is handed over as a systemd
          credential and sent to {option}`services.models.huggingFace.endpoint` only.
        '';
      };
    };

    mirrors = mkOption {
      type = types.listOf own.webUrl;
      default = [ ];
      example = [ "http://registry:8420" ];
      description = "Other hallmarks, asked for each file by its digest before the Hub is.";
    };

    seeds = mkOption {
      type = types.listOf types.path;
      default = [ ];
      example = literalExpression ''
        lib.attrValues (hallmark.lib.fetchModels { inherit pkgs config; layout = "folder"; })
      '';
      description = ''
        Files and folders whose contents are adopted by their digest before any network is asked: store paths of
        `fetchModels` for a host without a network, or a folder that was carried there. Names do not matter.
      '';
    };

    bandwidthLimit = mkOption {
      type = types.nullOr own.byteCount;
      default = null;
      example = "50M";
      description = "How many bytes a second all downloads together may take.";
    };

    policy = {
      licenses = mkOption {
        type = types.nullOr (types.listOf types.nonEmptyStr);
        default = null;
        example = [
          "Apache-2.0"
          "MIT"
        ];
        description = ''
          The licences that models may have, as SPDX ids. A model whose licence expression they do not satisfy is held:
          fetched and proven, but not deployed. `null` asks about no licence.
        '';
      };

      formats = mkOption {
        type = types.nullOr (
          types.listOf (
            types.enum [
              "safetensors"
              "gguf"
              "onnx"
              "pytorch"
              "unknown"
            ]
          )
        );
        default = null;
        example = [
          "safetensors"
          "gguf"
        ];
        description = ''
          What files may be inside, whatever they are called. Loading `pytorch` runs what the file says; `unknown` is
          everything that hallmark cannot tell. `null` asks about no format.
        '';
      };

      sizeMax = mkOption {
        type = types.nullOr own.byteCount;
        default = null;
        example = "20G";
        description = "How large a model may be, all its files together. A larger one is not even fetched.";
      };

      sources = mkOption {
        type = types.nullOr (types.listOf own.origin);
        default = null;
        example = [ "https://huggingface.co" ];
        description = ''
          The origins that files may be fetched from; seeds on this machine always may. `null` asks about no origin,
          unless {option}`services.models.huggingFace.enable` is `false`.
        '';
      };

      lineage = {
        item = mkOption {
          type = types.nullOr (types.either (types.enum [ "default" ]) (types.either own.eventId types.path));
          default = null;
          example = "default";
          description = ''
            The card that judges what a model rests on, over the daemon's log of signed events: `"default"` for the one
            that hallmark ships (`schema/gate.md` explains it line by line), a file, or the id of a card's event. A model
            that does not pass is held, with the feature that falls short. `null` asks about nothing.
          '';
        };

        model = mkOption {
          type = types.nullOr types.path;
          default = null;
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

        minScore = mkOption {
          type = types.nullOr types.number;
          default = null;
          example = 0.7;
          description = "The least score.";
        };

        requireLabel = mkOption {
          type = types.nullOr types.nonEmptyStr;
          default = null;
          example = "trusted";
          description = "The label that the card has to come to. The default card asks for `trusted` by itself.";
        };

        onFail = mkOption {
          type = types.enum [
            "hold"
            "keep-previous"
          ];
          default = "hold";
          description = ''
            What becomes of a model that does not pass: nothing of it is shown (`"hold"`), or what is deployed of it stays
            and nothing new is shown (`"keep-previous"`).
          '';
        };
      };
    };

    # What the evaluation knows; for the parts of this module, and for `fetchModels`.
    indexText = mkOption {
      type = types.nullOr types.path;
      internal = true;
      readOnly = true;
      description = "The index, if its text is known while the system is evaluated.";
      default =
        let
          path = cfg.indexPath;
          context = builtins.getContext (toString path);
          # What has to be built first is checked when it is built, not read while evaluating.
          isBuilt = lib.any (it: it ? outputs) (lib.attrValues context);
          # A file that the configuration writes is not there yet if the evaluation may write nothing.
          isHere =
            lib.isPath path
            || lib.hasPrefix "${builtins.storeDir}/" (toString path) && builtins.pathExists (builtins.unsafeDiscardStringContext path);
        in
        if isHere && !isBuilt then path else null;
    };

    chakras = mkOption {
      type = types.listOf types.str;
      internal = true;
      readOnly = true;
      description = "The energy centres of hallmark's own schema.";
      default = chakras;
    };
  };
}
