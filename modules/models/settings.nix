# hallmark.toml: what the options say, as defaults; and the checks that the build makes of it and of the index.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.models;
  own = import ./types.nix { inherit lib; };
  inherit (import ../lib/index.nix { inherit lib; }) readIndex hub;

  inherit (import ./where.nix { inherit lib; }) credential isInBuild socketAddress;
  indexIsInBuild = isInBuild cfg.indexPath;
  bytesOrNull = count: if count == null then null else own.toBytes count;

  handedOver = name: file: if file == null then null else credential name;

  # Without the Hub only what is named remains: mirrors, and what a known index fetches from elsewhere.
  originOf = url: lib.head (builtins.match "(https?://[^/]+).*" url);
  urlsElsewhere = lib.filter (
    url: url != null && lib.hasPrefix "http" url && !lib.hasPrefix "${hub}/" url
  ) (lib.concatMap (model: map (file: file.url) model.files) (lib.attrValues (readIndex cfg.indexText)));
  withoutHub = lib.unique (
    map originOf (cfg.mirrors ++ lib.optionals (cfg.indexText != null) urlsElsewhere)
  );
  sources =
    if cfg.policy.sources != null then
      map (lib.removeSuffix "/") cfg.policy.sources
    else if !cfg.huggingFace.enable then
      withoutHub
    else
      null;

  # A file beside the configuration comes into the store; all else stays as it is written.
  fileText = it: if lib.isPath it then "${it}" else it;

  typed = {
    catalog = {
      index = if indexIsInBuild then "/etc/hallmark/index.json" else cfg.indexPath;
      schema =
        if cfg.schemaPath == null then
          null
        else if isInBuild cfg.schemaPath then
          "${cfg.schemaPath}"
        else
          cfg.schemaPath;
      strict = cfg.strictIndex;
    };
    hub = {
      inherit (cfg.huggingFace) endpoint;
      token_file = handedOver "hub-token" cfg.huggingFace.tokenFile;
    };
    vault = {
      store = cfg.modelStorePath;
      cache = cfg.huggingFace.cacheDir;
      inherit (cfg) mirrors;
      seeds = map (seed: "${seed}") cfg.seeds;
      verify_checksums = cfg.verifyChecksums;
      bandwidth_bytes_per_second = bytesOrNull cfg.bandwidthLimit;
      keep_unused_days = cfg.gc.keepUnusedDays;
      keep_partial_days = cfg.gc.keepPartialDays;
      keep_quarantine_days = cfg.gc.keepQuarantineDays;
      size_bytes_max = bytesOrNull cfg.gc.sizeMax;
      inherit (cfg.gc) pins;
    };
    deploy = {
      models = cfg.deployedModels;
      by_chakra = cfg.chakraModels;
    };
    policy = {
      inherit (cfg.policy) licenses formats;
      size_bytes_max = bytesOrNull cfg.policy.sizeMax;
      inherit sources;
      lineage =
        if cfg.policy.lineage.item == null then
          null
        else
          lib.filterAttrs isSet {
            item = fileText cfg.policy.lineage.item;
            model = fileText cfg.policy.lineage.model;
            inherit (cfg.policy.lineage) trusted;
            min_score = cfg.policy.lineage.minScore;
            require_label = cfg.policy.lineage.requireLabel;
            on_fail = cfg.policy.lineage.onFail;
          };
    };
    http = {
      listen = socketAddress cfg.listenAddress cfg.port;
      read_token_file = handedOver "read-token" cfg.readTokenFile;
      operator_token_file = handedOver "operator-token" cfg.operatorTokenFile;
    };
    ledger = {
      key_file = handedOver "signing-key" cfg.signingKeyFile;
      inherit (cfg) relays follow;
    };
  };
  isSet = _: value: value != null;
  present = lib.filterAttrs (_: section: section != { }) (
    lib.mapAttrs (_: lib.filterAttrs isSet) typed
  );

  # A system that is built for another machine cannot run its hallmark here; a pkgs that knows of no other can.
  canExecute = pkgs.stdenv.buildPlatform.canExecute or (_: true);
  canRun = canExecute pkgs.stdenv.hostPlatform;
  checked =
    name: source: check:
    pkgs.runCommand name { preferLocalBuild = true; } ''
      ${lib.optionalString canRun check}
      cp ${source} $out
    '';
  hallmark = lib.getExe cfg.package;
in
{
  options.services.models.files = {
    config = mkOption {
      type = types.path;
      internal = true;
      readOnly = true;
      description = "hallmark.toml, checked.";
      default =
        let
          source = (pkgs.formats.toml { }).generate "hallmark.toml" cfg.settings;
        in
        checked "hallmark.toml" source ''
          ${hallmark} check-config ${source} || {
            echo "services.models: hallmark refuses its config; look at services.models.settings" >&2
            exit 1
          }
        '';
    };

    index = mkOption {
      type = types.nullOr types.path;
      internal = true;
      readOnly = true;
      description = "The index, checked; null if it is followed at run time.";
      default =
        let
          source = "${cfg.indexPath}";
          strict = lib.optionalString cfg.strictIndex "--strict";
          schema = lib.optionalString (cfg.schemaPath != null) "--schema ${cfg.schemaPath}";
        in
        if !indexIsInBuild then
          null
        else
          checked "index.json" source ''
            ${hallmark} validate ${strict} ${schema} ${source} || {
              echo "services.models.indexPath: the index does not hold${
                lib.optionalString cfg.strictIndex "; to live with warnings alone, set services.models.strictIndex = false"
              }" >&2
              exit 1
            }
          '';
    };
  };

  config = lib.mkIf cfg.enable {
    services.models.settings = lib.mapAttrs (_: lib.mapAttrs (_: lib.mkDefault)) present;
    # Reading these builds them, and so checks them.
    environment.etc = {
      "hallmark/hallmark.toml".source = cfg.files.config;
    }
    // lib.optionalAttrs indexIsInBuild { "hallmark/index.json".source = cfg.files.index; };
  };
}
