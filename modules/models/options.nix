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

    schemaPath = own.nullOption types.path {
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
      example = false;
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

      tokenFile = own.nullOption own.secretFile {
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

    bandwidthLimit = own.nullOption own.byteCount {
      example = "50M";
      description = "How many bytes a second all downloads together may take.";
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
