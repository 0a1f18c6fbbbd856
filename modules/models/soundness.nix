# What the evaluation can already say about folders, addresses and secrets: what the unit could not do, or should not,
# is refused with the option and the remedy.
{ config, lib, ... }:
let
  cfg = config.services.models;
  inherit (import ./where.nix { inherit lib; })
    credential
    inside
    isInBuild
    socketAddress
    stateFolder
    ;
  refuse = isWrong: message: {
    assertion = !isWrong;
    inherit message;
  };

  # The folders that the service cannot see.
  hiddenIn =
    path:
    lib.findFirst (it: inside it (toString path)) null [
      "/home"
      "/root"
      "/run/user"
      "/tmp"
      "/var/tmp"
    ];
  judgeFolder =
    option: folder:
    let
      closed = if inside stateFolder folder then stateFolder else hiddenIn folder;
    in
    refuse (closed != null)
      "${option} is ${folder}, but the service cannot keep models under ${toString closed}. Choose a folder such as /var/lib/models or /mnt/big/models.";
  judgeSource =
    option: path:
    refuse (path != null && !(isInBuild path) && hiddenIn path != null)
      "${option} is ${toString path}, but the service sees nothing under ${toString (hiddenIn path)}. Put it elsewhere, such as under /srv, or make it a file of this configuration.";

  # What the units rely on stands in the typed options alone.
  judgeSetting =
    section: key: expected: option:
    let
      found = cfg.settings.${section}.${key} or expected;
    in
    refuse (found != expected)
      "services.models.settings.${section}.${key} is ${builtins.toJSON found}, but the units are made for ${builtins.toJSON expected}. Set ${option} in its place.";
  judgeSecret =
    section: key: option: name: file:
    judgeSetting section key (if file == null then null else credential name) option;
  # The service writes nowhere else.
  judgeOwnFile =
    section: key:
    let
      found = cfg.settings.${section}.${key} or null;
    in
    refuse (found != null && !(inside stateFolder found))
      "services.models.settings.${section}.${key} is ${toString found}, where the service cannot write. Choose a place under ${stateFolder}.";

  storedSecrets =
    section: values:
    map (
      key:
      refuse (lib.hasSuffix "_file" key && lib.hasPrefix builtins.storeDir (toString values.${key}))
        "services.models.settings.${section}.${key} lies in the Nix store, which everybody can read. Give the path of a file that is on the host alone."
    ) (lib.attrNames values);

  isLoopback = lib.hasPrefix "127." cfg.listenAddress || cfg.listenAddress == "::1";
  isHttp = lib.hasPrefix "http://" cfg.huggingFace.endpoint;
  isLocalHub =
    builtins.match "http://(127[.][^/:]*|localhost|[[]::1])(:.*|/.*)?" cfg.huggingFace.endpoint != null;
  hasLedger = cfg.settings.ledger.enabled or true;
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      (judgeFolder "services.models.modelStorePath" cfg.modelStorePath)
      (judgeFolder "services.models.huggingFace.cacheDir" cfg.huggingFace.cacheDir)
      (refuse (inside cfg.huggingFace.cacheDir cfg.modelStorePath)
        "services.models.modelStorePath (${cfg.modelStorePath}) must not be services.models.huggingFace.cacheDir (${cfg.huggingFace.cacheDir}) or lie in it. Put the cache beside the models, or below them."
      )
      (judgeSource "services.models.indexPath" cfg.indexPath)
      (judgeSource "services.models.schemaPath" cfg.schemaPath)
      (judgeSetting "vault" "store" cfg.modelStorePath "services.models.modelStorePath")
      (judgeSetting "vault" "cache" cfg.huggingFace.cacheDir "services.models.huggingFace.cacheDir")
      (judgeSetting "http" "listen" (socketAddress cfg.listenAddress cfg.port)
        "services.models.listenAddress and port"
      )
      (judgeSecret "hub" "token_file" "services.models.huggingFace.tokenFile" "hub-token"
        cfg.huggingFace.tokenFile
      )
      (judgeSecret "http" "read_token_file" "services.models.readTokenFile" "read-token" cfg.readTokenFile)
      (judgeSecret "http" "operator_token_file" "services.models.operatorTokenFile" "operator-token"
        cfg.operatorTokenFile
      )
      (judgeSecret "ledger" "key_file" "services.models.signingKeyFile" "signing-key" cfg.signingKeyFile)
      (judgeOwnFile "ledger" "file")
      (judgeOwnFile "ledger" "checkpoint_key_file")
      (refuse (!hasLedger && (cfg.signingKeyFile != null || cfg.relays != [ ] || cfg.follow != [ ]))
        "services.models.signingKeyFile, relays and follow are of no use, since services.models.settings.ledger.enabled is false. Take them out, or the setting."
      )
      (refuse (cfg.openFirewall && isLoopback)
        "services.models.openFirewall opens a port that nobody listens on, since services.models.listenAddress is ${cfg.listenAddress}. Set the address to 0.0.0.0, ::, or one of this host's."
      )
      (refuse (cfg.port == 0)
        "services.models.port is 0, which would be another port after each start. Choose one, such as 8420."
      )
      (refuse (cfg.hashedMirror && cfg.readTokenFile != null)
        "services.models.hashedMirror cannot work with services.models.readTokenFile: Nix sends no token. Take one of them out."
      )
      (refuse (cfg.huggingFace.tokenFile != null && isHttp && !isLocalHub)
        "services.models.huggingFace.tokenFile would be sent over plain HTTP to ${cfg.huggingFace.endpoint}, where anybody on the way can read it. Use https:// there, or take the token out."
      )
      (refuse (isInBuild cfg.indexPath && cfg.schemaPath != null && !(isInBuild cfg.schemaPath))
        "services.models.schemaPath (${toString cfg.schemaPath}) is on the host, but the index is checked by the build. Make the schema a file of this configuration too."
      )
      (refuse (!(config.users.users ? ${cfg.user}))
        "services.models.user is ${cfg.user}, and there is no such user. Declare users.users.${cfg.user}, or leave the option as it is."
      )
      (refuse (!(config.users.groups ? ${cfg.group}))
        "services.models.group is ${cfg.group}, and there is no such group. Declare users.groups.${cfg.group}, or leave the option as it is."
      )
    ]
    ++ map (judgeSource "services.models.seeds") cfg.seeds
    ++ lib.concatLists (
      lib.mapAttrsToList (
        section: values: lib.optionals (lib.isAttrs values) (storedSecrets section values)
      ) cfg.settings
    );
  };
}
