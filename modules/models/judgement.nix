# What the evaluation can already say about a configuration: each complaint names the option and the remedy.
# The daemon judges again at run time; what it alone can know, such as what a file is inside, is left to it.
{ config, lib, ... }:
let
  cfg = config.services.models;
  policy = import ./policy.nix { inherit lib; };
  inherit (import ../lib/index.nix { inherit lib; }) notFound readIndex;

  known = readIndex cfg.indexText;
  isKnown = cfg.indexText != null;
  refuse = isWrong: message: {
    assertion = !isWrong;
    inherit message;
  };
  list = lib.concatStringsSep ", ";
  inside = outer: inner: lib.hasPrefix "${outer}/" "${inner}/";

  # Every id with the option that lists it.
  listed =
    lib.optionals (cfg.deployedModels != "all") (
      map (id: {
        inherit id;
        option = "services.models.deployedModels";
      }) cfg.deployedModels
    )
    ++ lib.concatLists (
      lib.mapAttrsToList (
        chakra: ids:
        map (id: {
          inherit id chakra;
          option = "services.models.chakraModels.${chakra}";
        }) ids
      ) cfg.chakraModels
    );

  judgeListed =
    { id, option, ... }@place:
    let
      model = known.${id};
      chakra = place.chakra or null;
      objections = policy.objections {
        inherit model;
        inherit (cfg) mirrors seeds;
        inherit (cfg.huggingFace) endpoint;
        policy = cfg.settings.policy or { };
      };
    in
    if !(known ? ${id}) then
      [
        (refuse true "${option}: ${notFound id (lib.attrNames known)} Correct the id, or add its entry to ${toString cfg.indexPath}.")
      ]
    else if model.stubReasons != [ ] then
      [
        (refuse true "${option}: '${id}' is a stub, since ${list model.stubReasons}. Put the real values into its entry, or take the id out.")
      ]
    else
      [
        (refuse (chakra != null && model.chakra != chakra)
          "${option} lists '${id}', which is filed under ${toString model.chakra}. Move it to services.models.chakraModels.${toString model.chakra}, or correct the entry."
        )
      ]
      ++ map (
        it: refuse true "services.models.policy.${it.option} can never admit '${id}': ${it.why}. ${it.remedy}, or take the id out of ${option}."
      ) objections;

  judgeChakra =
    chakra:
    refuse (cfg.schemaPath == null && !(lib.elem chakra cfg.chakras))
      "services.models.chakraModels.${chakra}: there is no such energy centre; choose one of ${list cfg.chakras}, or set services.models.schemaPath to a schema that has it.";

  isLoopback = lib.hasPrefix "127." cfg.listenAddress || cfg.listenAddress == "::1";
  # The folders that the service cannot see, or that are not its to fill.
  closedTo =
    folder:
    lib.findFirst (it: inside it folder) null [
      "/home"
      "/root"
      "/run/user"
      "/tmp"
      "/var/tmp"
      "/var/lib/hallmark"
    ];
  judgeFolder =
    option: folder:
    refuse (closedTo folder != null)
      "${option} is ${folder}, but the service cannot keep models under ${toString (closedTo folder)}. Choose a folder such as /var/lib/models or /mnt/big/models.";

  # What the units rely on stands in the typed options alone.
  judgeSetting =
    section: key: expected: option:
    let
      found = cfg.settings.${section}.${key} or expected;
    in
    refuse (found != expected)
      "services.models.settings.${section}.${key} is ${builtins.toJSON found}, but the units are made for ${builtins.toJSON expected}. Set ${option} in its place.";

  secretsIn =
    section: values:
    map (
      key:
      refuse (
        lib.hasSuffix "_file" key && lib.hasPrefix builtins.storeDir (toString values.${key})
      ) "services.models.settings.${section}.${key} lies in the Nix store, which everybody can read. Give the path of a file that is on the host alone."
    ) (lib.attrNames values);

  isHttp = lib.hasPrefix "http://" cfg.huggingFace.endpoint;
  isLocalHub = builtins.match "http://(127[.][^/:]*|localhost|[[]::1])(:.*|/.*)?" cfg.huggingFace.endpoint != null;
  address =
    if lib.hasInfix ":" cfg.listenAddress then "[${cfg.listenAddress}]" else cfg.listenAddress;
  isInBuild = path: lib.isPath path || lib.hasPrefix "${builtins.storeDir}/" (toString path);
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      lib.optionals isKnown (lib.concatMap judgeListed listed)
      ++ map judgeChakra (lib.attrNames cfg.chakraModels)
      ++ [
        (judgeFolder "services.models.modelStorePath" cfg.modelStorePath)
        (judgeFolder "services.models.huggingFace.cacheDir" cfg.huggingFace.cacheDir)
        (refuse (inside cfg.huggingFace.cacheDir cfg.modelStorePath)
          "services.models.modelStorePath (${cfg.modelStorePath}) must not be services.models.huggingFace.cacheDir (${cfg.huggingFace.cacheDir}) or lie in it. Put the cache beside the models, or below them."
        )
        (judgeSetting "vault" "store" cfg.modelStorePath "services.models.modelStorePath")
        (judgeSetting "vault" "cache" cfg.huggingFace.cacheDir "services.models.huggingFace.cacheDir")
        (judgeSetting "http" "listen" "${address}:${toString cfg.port}" "services.models.listenAddress and port")
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
      ]
      ++ lib.concatLists (
        lib.mapAttrsToList (
          section: values: lib.optionals (lib.isAttrs values) (secretsIn section values)
        ) cfg.settings
      );

    warnings =
      lib.optional (cfg.deployedModels == [ ] && lib.all (ids: ids == [ ]) (lib.attrValues cfg.chakraModels))
        "services.models is enabled, but no model is wanted. Set services.models.deployedModels or services.models.chakraModels."
      ++ lib.optional (!cfg.verifyChecksums)
        "services.models.verifyChecksums is false: this host deploys bytes that nobody has proven."
      ++ lib.optional (cfg.policy.formats != null && lib.elem "pytorch" cfg.policy.formats)
        "services.models.policy.formats allows pytorch: loading such a file runs what it says.";
  };
}
