# Configurations that have to fail: each with what it says, and `build` where only the build can know.
{
  libPath,
  hallmark ? null,
}:
let
  lib = import libPath;
  evaluate = config: import ./eval.nix { inherit libPath hallmark config; };
  host = models: {
    services.models = {
      enable = true;
      deployedModels = [ "vishuddha-minilm-v1" ];
    }
    // models;
  };
  own = builtins.fromJSON (builtins.readFile ../../index.json);
  # The repository's own index with its first entry changed, as a file.
  changed =
    change:
    builtins.toFile "index.json" (
      builtins.toJSON (own // { models = [ (change (lib.head own.models)) ] ++ lib.tail own.models; })
    );
  cases = {
    unknown-model = {
      config = host { deployedModels = [ "vishuddha-minilm-v2" ]; };
      says = "services.models.deployedModels: Model 'vishuddha-minilm-v2' not found in index; did you mean 'vishuddha-minilm-v1'?";
    };
    unknown-model-far-off = {
      config = host { deployedModels = [ "xyz" ]; };
      says = "Model 'xyz' not found in index. Correct the id";
    };
    unknown-model-under-chakra = {
      config = host { chakraModels.ajna = [ "ajna-insight-v2" ]; };
      says = "services.models.chakraModels.ajna: Model 'ajna-insight-v2' not found in index";
    };
    no-model-id = {
      config = host { deployedModels = [ "Vishuddha_MiniLM" ]; };
      says = "is not of type";
    };
    stub = {
      config = host {
        indexPath = changed (entry: entry // { notes = "TODO-STUB-NOTES"; });
      };
      says = "'vishuddha-minilm-v1' is a stub, since it holds values marked TODO-STUB";
    };
    zeros = {
      config = host {
        indexPath = changed (
          entry:
          entry
          // {
            artifact = entry.artifact // {
              sha256 = lib.concatStrings (lib.genList (_: "0") 64);
            };
          }
        );
      };
      says = "the sha256 of model.safetensors is all zeros";
    };
    no-bytes = {
      config = host {
        indexPath = changed (entry: entry // { artifact = entry.artifact // { sizeBytes = 0; }; });
      };
      says = "the sizeBytes of model.safetensors is 0";
    };
    wrong-chakra = {
      config = host { chakraModels.ajna = [ "vishuddha-minilm-v1" ]; };
      says = "services.models.chakraModels.ajna lists 'vishuddha-minilm-v1', which is filed under vishuddha. Move it to services.models.chakraModels.vishuddha";
    };
    no-chakra = {
      config = host { chakraModels.heart = [ "vishuddha-minilm-v1" ]; };
      says = "services.models.chakraModels.heart: there is no such energy centre";
    };
    hopeless-license = {
      config = host { policy.licenses = [ "MIT" ]; };
      says = "services.models.policy.licenses can never admit 'vishuddha-minilm-v1': its licence is Apache-2.0. Add Apache-2.0 to the list";
    };
    hopeless-format = {
      config = host { policy.formats = [ "gguf" ]; };
      says = "services.models.policy.formats can never admit 'vishuddha-minilm-v1': its format is safetensors";
    };
    hopeless-size = {
      config = host { policy.sizeMax = "50M"; };
      says = "services.models.policy.sizeMax can never admit 'vishuddha-minilm-v1'";
    };
    unknown-outcome = {
      config = host {
        policy.lineage.item = "default";
        policy.lineage.onFail = "explode";
      };
      says = "services.models.policy.lineage.onFail' is not of type";
    };
    gate-that-asks-nothing = {
      build = true;
      config = host { policy.lineage.item = "/etc/hallmark/card.json"; };
      says = "asks nothing of its card";
    };
    hopeless-source = {
      config = host { policy.sources = [ "https://models.example.org" ]; };
      says = "services.models.policy.sources can never admit 'vishuddha-minilm-v1': model.safetensors comes from https://huggingface.co";
    };
    no-hub = {
      config = host { huggingFace.enable = false; };
      says = "services.models.huggingFace.enable allows the Hub";
    };
    token-in-store = {
      config = host { huggingFace.tokenFile = "${builtins.toFile "token" "hf_secret"}"; };
      says = "services.models.huggingFace.tokenFile' is not of type";
    };
    key-in-store = {
      config = host { signingKeyFile = "${builtins.toFile "key" "secret"}"; };
      says = "services.models.signingKeyFile' is not of type";
    };
    token-as-literal = {
      config = host { huggingFace.tokenFile = ./wrong.nix; };
      says = "services.models.huggingFace.tokenFile' is not of type `null or path of a secret outside the Nix store'";
    };
    token-in-settings = {
      config = host { settings.hub.token_file = "/run/secrets/hf-token"; };
      says = "services.models.settings.hub.token_file is \"/run/secrets/hf-token\", but the units are made for null. Set services.models.huggingFace.tokenFile in its place";
    };
    key-in-settings = {
      config = host {
        signingKeyFile = "/run/secrets/key";
        settings.ledger.key_file = "/run/secrets/key";
      };
      says = "Set services.models.signingKeyFile in its place";
    };
    key-without-ledger = {
      config = host {
        signingKeyFile = "/run/secrets/key";
        settings.ledger.enabled = false;
      };
      says = "services.models.signingKeyFile, relays and follow are of no use, since services.models.settings.ledger.enabled is false";
    };
    ledger-elsewhere = {
      config = host { settings.ledger.file = "/srv/ledger.sqlite"; };
      says = "services.models.settings.ledger.file is /srv/ledger.sqlite, where the service cannot write. Choose a place under /var/lib/hallmark";
    };
    password-in-mirror = {
      config = host { mirrors = [ "https://me:secret@registry.example.org" ]; };
      says = "is not of type `URL without a password (http:// or https://)'";
    };
    password-in-index = {
      config = host { indexPath = "git+https://me:secret@git.example.org/models#main:index.json"; };
      says = "git location without a password";
    };
    password-in-relay = {
      config = host { relays = [ "wss://me:secret@relay.example.org" ]; };
      says = "URL of a relay without a password";
    };
    setting-in-store = {
      config = host { settings.http.read_token_file = "${builtins.toFile "token" "secret"}"; };
      says = "services.models.settings.http.read_token_file lies in the Nix store";
    };
    token-in-the-clear = {
      config = host {
        huggingFace.endpoint = "http://hub.example.org";
        huggingFace.tokenFile = "/run/secrets/hf-token";
      };
      says = "services.models.huggingFace.tokenFile would be sent over plain HTTP to http://hub.example.org";
    };
    endpoint-without-scheme = {
      config = host { huggingFace.endpoint = "huggingface.co"; };
      says = "is not of type `URL without a password (http:// or https://)'";
    };
    port-out-of-range = {
      config = host { port = 99999; };
      says = "is not of type `16 bit unsigned integer";
    };
    port-zero = {
      config = host { port = 0; };
      says = "services.models.port is 0";
    };
    address-that-is-a-name = {
      config = host { listenAddress = "localhost"; };
      says = "is not of type `IP address'";
    };
    firewall-for-nobody = {
      config = host { openFirewall = true; };
      says = "services.models.openFirewall opens a port that nobody listens on";
    };
    mirror-behind-a-token = {
      config = host {
        hashedMirror = true;
        readTokenFile = "/run/secrets/read";
      };
      says = "services.models.hashedMirror cannot work with services.models.readTokenFile";
    };
    store-under-home = {
      config = host { modelStorePath = "/home/me/models"; };
      says = "services.models.modelStorePath is /home/me/models, but the service cannot keep models under /home";
    };
    store-relative = {
      config = host { modelStorePath = "models"; };
      says = "services.models.modelStorePath' is not of type `absolute path outside the Nix store'";
    };
    store-in-store = {
      config = host { modelStorePath = "${builtins.toFile "models" ""}"; };
      says = "services.models.modelStorePath' is not of type `absolute path outside the Nix store'";
    };
    store-in-state = {
      config = host { modelStorePath = "/var/lib/hallmark/models"; };
      says = "the service cannot keep models under /var/lib/hallmark";
    };
    seed-out-of-sight = {
      config = host { seeds = [ "/home/me/models" ]; };
      says = "services.models.seeds is /home/me/models, but the service sees nothing under /home";
    };
    index-out-of-sight = {
      config = host { indexPath = "/root/index.json"; };
      says = "services.models.indexPath is /root/index.json, but the service sees nothing under /root";
    };
    schema-on-host = {
      config = host { schemaPath = "/srv/schema.json"; };
      says = "services.models.schemaPath (/srv/schema.json) is on the host, but the index is checked by the build";
    };
    store-in-cache = {
      config = host {
        modelStorePath = "/srv/hf/models";
        huggingFace.cacheDir = "/srv/hf";
      };
      says = "must not be services.models.huggingFace.cacheDir (/srv/hf) or lie in it";
    };
    store-set-twice = {
      config = host { settings.vault.store = "/srv/models"; };
      says = "services.models.settings.vault.store is \"/srv/models\", but the units are made for \"/var/lib/models\"";
    };
    root = {
      config = host { user = "root"; };
      says = "is not of type `name of a user or group, not root'";
    };
    nobody = {
      config = host { user = "registry"; };
      says = "services.models.user is registry, and there is no such user. Declare users.users.registry";
    };
    no-group = {
      config = {
        users.users.registry.isSystemUser = true;
      }
      // host {
        user = "registry";
        group = "inference";
      };
      says = "services.models.group is inference, and there is no such group. Declare users.groups.inference";
    };
    weight-too-great = {
      config = host { ioWeight = 20000; };
      says = "services.models.ioWeight' is not of type";
    };
    size-without-unit = {
      config = host { bandwidthLimit = "50 MB/s"; };
      says = "powers of 1000";
    };
    relay-that-is-none = {
      config = host { relays = [ "https://relay.example.org" ]; };
      says = "is not of type `URL of a relay";
    };
    unknown-option = {
      config = host { deployedModel = [ ]; };
      says = "services.models.deployedModel' does not exist";
    };
    index-that-is-none = {
      config = host { indexPath = builtins.toFile "index.json" ''{ "modells": [] }''; };
      says = "is no model index: it needs a list named models";
    };

    unknown-setting = {
      build = true;
      config = host { settings.vault.mirors = [ ]; };
      says = "did you mean `mirrors`?";
    };
    impossible-setting = {
      build = true;
      config = host { settings.vault.downloads_max = 0; };
      says = "hallmark refuses its config; look at services.models.settings";
    };
    kind-that-is-none = {
      build = true;
      config = host { settings.ledger.private_kinds = [ 70000 ]; };
      says = "hallmark refuses its config; look at services.models.settings";
    };
    orphans-that-are-followed = {
      build = true;
      config = host {
        follow = [ "ws://registry:8420" ];
        settings.ledger.allow_orphans = false;
      };
      says = "[ledger] follow needs allow_orphans = true";
    };
    license-that-is-none = {
      build = true;
      config = host {
        policy.licenses = [
          "Apache-2.0"
          "Beerware-Forever"
        ];
      };
      says = "Beerware-Forever";
    };
    broken-entry = {
      build = true;
      config = host {
        indexPath = changed (entry: entry // { frequencyHz = 20000; });
        strictIndex = false;
      };
      says = "frequencyHz";
    };
    warnings-in-own-index = {
      build = true;
      config = host { indexPath = changed (entry: entry // { notes = "mine"; }); };
      says = "to live with warnings alone, set services.models.strictIndex = false";
    };
  };
in
{
  names = lib.attrNames cases;
  builds = lib.attrNames (lib.filterAttrs (_: case: case.build or false) cases);
  says = lib.mapAttrs (_: case: case.says) cases;
  systems = lib.mapAttrs (_: case: (evaluate case.config).config.system.build.toplevel) cases;
}
