# What the evaluation can already say about the models that are asked for: each complaint names the option and the
# remedy. The daemon judges again at run time; what it alone can know, such as what a file is inside, is left to it.
{ config, lib, ... }:
let
  cfg = config.services.models;
  inherit (import ./admission.nix { inherit lib; }) objections;
  inherit (import ../lib/index.nix { inherit lib; }) notFoundSentence readIndex;

  known = readIndex cfg.indexText;
  isKnown = cfg.indexText != null;
  refuse = isWrong: message: {
    assertion = !isWrong;
    inherit message;
  };
  list = lib.concatStringsSep ", ";

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
      why = objections {
        inherit model;
        inherit (cfg) mirrors seeds;
        inherit (cfg.huggingFace) endpoint;
        policy = cfg.settings.policy or { };
      };
    in
    if !(known ? ${id}) then
      [
        (refuse true "${option}: ${notFoundSentence id (lib.attrNames known)} Correct the id, or add its entry to ${toString cfg.indexPath}.")
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
      ) why;

  judgeChakra =
    chakra:
    refuse (cfg.schemaPath == null && !(lib.elem chakra cfg.chakras))
      "services.models.chakraModels.${chakra}: there is no such energy centre; choose one of ${list cfg.chakras}, or set services.models.schemaPath to a schema that has it.";
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      lib.optionals isKnown (lib.concatMap judgeListed listed)
      ++ map judgeChakra (lib.attrNames cfg.chakraModels);

    warnings =
      lib.optional (cfg.deployedModels == [ ] && lib.all (ids: ids == [ ]) (lib.attrValues cfg.chakraModels))
        "services.models is enabled, but no model is wanted. Set services.models.deployedModels or services.models.chakraModels."
      ++ lib.optional (!cfg.verifyChecksums)
        "services.models.verifyChecksums is false: this host deploys bytes that nobody has proven."
      ++ lib.optional (cfg.policy.formats != null && lib.elem "pytorch" cfg.policy.formats)
        "services.models.policy.formats allows pytorch: loading such a file runs what it says.";
  };
}
