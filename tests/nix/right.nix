# Configurations that have to evaluate, build and be clean of complaints.
{
  libPath,
  hallmark ? null,
}:
let
  evaluate = config: import ./eval.nix { inherit libPath hallmark config; };
  lib = import libPath;
  configs = {
    # As the README begins.
    defaults.services.models = {
      enable = true;
      deployedModels = [ "vishuddha-minilm-v1" ];
    };

    # Every option there is; `unset` below makes sure of it.
    everything = {
      services.models = {
        enable = true;
        package = pkgs.hallmarkOfThisTree;
        indexPath = ../../index.json;
        schemaPath = ../../schema/schema.json;
        strictIndex = false;
        huggingFace = {
          enable = true;
          endpoint = "https://hub.example.org";
          cacheDir = "/mnt/cache/hf";
          tokenFile = "/run/secrets/hf-token";
        };
        deployedModels = "all";
        chakraModels.vishuddha = [ "vishuddha-minilm-v1" ];
        modelStorePath = "/mnt/big/models";
        verifyChecksums = true;
        listenAddress = "::";
        port = 8421;
        openFirewall = true;
        readTokenFile = "/run/secrets/read";
        operatorTokenFile = "/run/secrets/operator";
        user = "registry";
        group = "models";
        mirrors = [ "http://registry:8420" ];
        seeds = [ "/mnt/stick" ];
        bandwidthLimit = "50M";
        hashedMirror = false;
        memoryMax = "1G";
        ioWeight = 20;
        policy = {
          licenses = [
            "Apache-2.0"
            "MIT"
          ];
          formats = [
            "safetensors"
            "gguf"
          ];
          sizeMax = "20G";
          sources = [
            "https://hub.example.org"
            "https://github.com"
          ];
          lineage = {
            item = ../../schema/gate-card.json;
            model = ../../schema/gate-model.json;
            trusted = [ "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f" ];
            minScore = 1;
            requireLabel = "trusted";
            onFail = "keep-previous";
          };
        };
        gc = {
          automatic = true;
          dates = "daily";
          keepUnusedDays = 3;
          keepPartialDays = 1;
          keepQuarantineDays = 90;
          sizeMax = "500G";
          pins = [ "svadhisthana-wordllama-v0" ];
        };
        settings.vault.downloads_max = 8;
      };
      users.users.registry = {
        isSystemUser = true;
        group = "models";
      };
      users.groups.models = { };
    };

    # What is signed here: by a key that is handed over, and published elsewhere too.
    ledger.services.models = {
      enable = true;
      deployedModels = [ "vishuddha-minilm-v1" ];
      signingKeyFile = "/run/secrets/key";
      relays = [
        "wss://relay.example.org"
        "ws://registry:8420"
      ];
      follow = [ "ws://registry:8420" ];
      settings.ledger.private_kinds = [
        30410
        30411
      ];
    };

    # From a checkout and from a flake at once, as when two parts of a configuration import it.
    twice = {
      imports = [
        (lib.modules.importApply ../../modules/models/module.nix {
          defaultPackage = pkgs: pkgs.callPackage ../../modules/package.nix { };
        })
      ];
      services.models.enable = true;
      services.models.deployedModels = [ "vishuddha-minilm-v1" ];
    };

    followed.services.models = {
      enable = true;
      indexPath = "git+https://git.example.org/models#main:index.json";
      deployedModels = [ "ajna-insight-v2" ];
    };

    airgapped.services.models = {
      enable = true;
      huggingFace.enable = false;
      seeds = [ "/mnt/stick" ];
      deployedModels = [ "vishuddha-minilm-v1" ];
      hashedMirror = true;
    };

    # As the README has it: the files come with the system. Here they come from the store, in the Hub's place.
    seeded =
      { config, pkgs, ... }:
      let
        story = import ../../modules/tests/parts/story.nix { module = { }; };
        model = story.entry "ajna-insight-v1" "the weights of a story";
        origin = pkgs.linkFarm "origin" [
          {
            name = "org/ajna-insight-v1/resolve/${story.commit}/model.bin";
            path = builtins.toFile "model.bin" model.text;
          }
        ];
      in
      {
        services.models = {
          enable = true;
          indexPath = story.index [ model ];
          deployedModels = "all";
          huggingFace.enable = false;
          seeds = lib.attrValues (
            (import ../../modules/lib { inherit lib; }).fetchModels {
              inherit pkgs config;
              layout = "folder";
              endpoint = "file://${origin}";
            }
          );
        };
      };

    lowmemory.services.models = {
      enable = true;
      deployedModels = [ "vishuddha-minilm-v1" ];
      memoryMax = null;
      ioWeight = null;
      gc.automatic = false;
      listenAddress = "192.0.2.7";
    };

    # The names of the document, written as its example does.
    document.services.models = {
      enable = true;
      indexPath = ../../index.json;
      huggingFace = {
        enable = true;
        cacheDir = "/var/lib/models/hf-cache";
        tokenFile = "/run/secrets/hf-token";
      };
      deployedModels = [
        "vishuddha-minilm-v1"
        "svadhisthana-wordllama-v0"
      ];
      chakraModels = {
        vishuddha = [ "vishuddha-minilm-v1" ];
        svadhisthana = [ "svadhisthana-wordllama-v0" ];
      };
      modelStorePath = "/var/lib/models";
      verifyChecksums = true;
    };

    off.services.models = { };
  };
  pkgs.hallmarkOfThisTree =
    (import ./standin/pkgs.nix { inherit lib hallmark; }).callPackage ../../modules/package.nix
      { };

  isUnset = option: !(option.readOnly or false) && !(option.internal or false) && option.highestPrio >= 1500;
  unsetIn =
    evaluated:
    lib.filter (name: name != "") (
      map (option: if isUnset option then lib.showOption option.loc else "") (
        lib.collect lib.isOption evaluated.options.services.models
      )
    );
  # Each is set by `everything` or by `ledger`.
  unset = lib.intersectLists (unsetIn (evaluate configs.everything)) (unsetIn (evaluate configs.ledger));
in
{
  names = lib.attrNames configs;
  reports = lib.mapAttrs (_: config: (evaluate config).report) configs;
  systems = lib.mapAttrs (_: config: (evaluate config).config.system.build.toplevel) configs;
  inherit unset;
  # Options that do not say what they are for, or show no value.
  untold =
    let
      shown = lib.filter (it: it.visible && !it.internal && lib.hasPrefix "services.models." it.name) (
        lib.optionAttrSetToDocList (evaluate configs.defaults).options
      );
    in
    map (it: it.name) (
      lib.filter (it: !(it ? description && it ? example && it ? default)) shown
    );
  # What the VM tests' driver would run.
  scripts = lib.mapAttrs (name: _: (import (../../modules/tests + "/${name}") { module = { }; }).testScript) (
    lib.filterAttrs (_: kind: kind == "regular") (builtins.readDir ../../modules/tests)
  );
}
